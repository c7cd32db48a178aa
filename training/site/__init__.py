"""What a site does with a bundle of its own scans: calibrate a head, fit one; no torch here."""
