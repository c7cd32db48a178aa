"""The reference implementations that fmtool is measured against."""
