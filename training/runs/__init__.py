"""Runs: a cohort, a recipe and a loop, to a folder with its evidence."""
