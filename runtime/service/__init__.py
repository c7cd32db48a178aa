"""What stays up at a site: a folder, an HTTP service, a DICOM node, on one answering loop."""
