"""From a raw head to the model's space: one stage per file, `pipeline` in order."""

from typing import Literal

Skull = Literal["auto", "whole", "stripped"]
"""What the scan shows: a whole head, a skull-stripped one, or whichever is detected."""
