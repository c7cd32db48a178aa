"""An image server on the scanner itself: images come in and go back over TCP, as MRD messages.

The framing, the image header and the attributes are read and written here, so that the server needs
no more than the edge runtime; files (.h5) need the extra `mrd`, and `rehearsal/` makes of a scan
what a scanner would send.
"""
