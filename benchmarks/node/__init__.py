"""What the benchmarks of the DICOM node share."""
