"""The pictures of a report: slices, outlines, maps."""
