"""A rehearsal without a scanner: what one would send, a client that sends it, and its DICOM."""
