"""fmtool on an emulated processor, compared with this machine's."""
