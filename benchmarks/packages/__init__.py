"""The packages as a user gets them: built twice, installed alone, each extra used once."""
