"""The watch folder: scans that appear in one folder are answered into another, for months."""
