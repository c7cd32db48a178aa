"""Another tool in the place of one stage: SynthStrip's or HD-BET's mask, ANTs' registration."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.stages import PreparedHead, crop, three
from benchmarks.shared.peers import chain
from runtime.preprocess import bias, register
from runtime.preprocess.template import Template

STRIPPERS = {
    "SynthStrip's mask": "mri_synthstrip",
    "HD-BET's mask": "hd-bet",
}
"""Name in the tables -> the command that must be on PATH."""

ANTS = "registered by ANTs"


def absent() -> dict[str, str]:
    """What cannot be compared on this machine, and why."""
    found = {
        name: f"{command} is not on PATH"
        for name, command in STRIPPERS.items()
        if shutil.which(command) is None
    }
    try:
        import ants
    except ImportError:
        return {**found, ANTS: "antspyx is not installed (the extra `bench`)"}
    del ants
    return found


def replaced(
    base: PreparedHead, template: Template
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """A whole head's volume and mask on the crop with one stage done by another tool."""
    missing = absent()
    array, affine, spacing = base.head.array, base.head.affine, three(base.head.spacing)
    for name, command in STRIPPERS.items():
        if name in missing:
            continue
        brain = _stripped(command, array, affine)
        corrected = bias.correct(array, brain, spacing, "head")
        matrix = register.rigid(corrected, affine, brain, template).matrix
        yield name, *crop(corrected, brain, affine, matrix)
    if ANTS not in missing:
        prepared = base.prepared
        moving = prepared.corrected * prepared.brain
        matrix = chain.syn_quick_rigid(moving, affine, template.array, template.affine)
        yield ANTS, *crop(prepared.corrected, prepared.brain, affine, matrix)


def _stripped(
    command: str, array: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The brain mask by a tool on PATH: every voxel that its stripped image keeps."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "head.nii.gz", Path(folder) / "brain.nii.gz"
        nib.save(nib.Nifti1Image(array, affine), before)
        subprocess.run(_ARGUMENTS[command](before, after), check=True, capture_output=True)
        return np.asarray(nib.load(after).dataobj) > 0


_ARGUMENTS: dict[str, Callable[[Path, Path], list[str]]] = {
    "mri_synthstrip": lambda i, o: ["mri_synthstrip", "-i", str(i), "-o", str(o)],
    "hd-bet": lambda i, o: ["hd-bet", "-i", str(i), "-o", str(o), "-device", "cpu"],
}
