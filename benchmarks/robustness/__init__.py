"""The same head seen otherwise: how far each output of a bundle moves."""
