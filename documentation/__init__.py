"""The documentation's site: the pages that are made from the code, its figures and recordings."""
