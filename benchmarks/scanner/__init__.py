"""The MRD server against its bars: the same head by every way, never held, how fast, how large."""
