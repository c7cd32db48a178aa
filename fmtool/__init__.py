"""fmtool: 3D brain-MRI foundation models, from the lab to the machine beside the scanner."""

__version__ = "0.1.0"

NOTICE = "Research software, not a medical device: not for any clinical decision."
