"""A BIDS App: a data set in, a data set of derivatives out, told by their names."""
