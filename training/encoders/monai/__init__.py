"""MONAI's bundles and networks, read as data."""
