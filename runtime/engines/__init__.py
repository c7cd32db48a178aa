"""Inference engines: one library per file, `choose` picks and says why."""
