"""From a raw head to the model's space: one stage per file, `pipeline` in order."""
