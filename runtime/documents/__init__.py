"""A result as documents that viewers and records read: DICOM's and FHIR's."""
