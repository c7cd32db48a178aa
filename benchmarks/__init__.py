"""What fmtool costs and how far it is from its references."""
