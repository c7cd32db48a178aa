"""Layouts of networks that the field has: a file each, recognised by its names and shapes.

Each file has `is_of`, whether a checkpoint's tensors are of its layout, and `read`, what they make.
The first that recognises them reads them; `residual` takes what no other did.
"""

from __future__ import annotations

from types import ModuleType

from training.encoders.importers import brainiac, densenet, medicalnet, residual, sfcn, vit
from training.encoders.importers.recognised import Recognised
from training.encoders.told import Told
from training.encoders.weights import CheckpointParts

_LAYOUTS: tuple[ModuleType, ...] = (sfcn, densenet, vit, brainiac, medicalnet)


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """The encoder in a checkpoint's tensors.

    Args:
        parts: of the file, by their bare names.
        where: the file, for errors.
        told: what the weights do not tell.

    Raises:
        InputError: if they are of no layout, or not all of what theirs says.
    """
    layout = next((layout for layout in _LAYOUTS if layout.is_of(parts, told)), residual)
    found: Recognised = layout.read(parts, where, told)
    return found
