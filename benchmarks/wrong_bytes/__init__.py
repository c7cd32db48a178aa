"""Is any single wrong byte of a bundle caught when it is opened?"""
