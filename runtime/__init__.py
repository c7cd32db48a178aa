"""The edge runtime: a scan and a bundle in, a result out. Needs neither torch nor monai."""
