"""What stays up at a site: a watch folder, an HTTP service and a DICOM node, on one answering loop."""
