"""DICOM in: a folder, a zip or a list of files to one volume with its affine (see `volume`)."""
