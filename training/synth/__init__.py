"""A synthetic cohort whose truth is known: heads that belong to nobody, for tests of training."""
