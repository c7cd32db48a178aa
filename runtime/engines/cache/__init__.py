"""Compiled engines on disk: found by key, made once, listed and thrown away."""
