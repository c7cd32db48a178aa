"""The report's HTML: one file per scan and an index of a folder, which load nothing from anywhere.

Every text that comes from a scan or a bundle is escaped where it becomes markup. A page's only
script is fmtool's own, named in its content security policy by its digest.
"""
