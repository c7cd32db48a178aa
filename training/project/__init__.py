"""A project's steps: what `fmtool init` finds in a folder, and what `fmtool train` does there."""
