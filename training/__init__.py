"""From a labelled cohort to encoders and heads."""
