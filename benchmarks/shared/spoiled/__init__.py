"""Bad scans made from good ones, seeded: what the checks of `runtime.quality` must notice."""
