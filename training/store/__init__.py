"""Store: a cohort's scans prepared by `runtime.store`, and what is computed of them once."""
