"""Which stage moves an output: the undisturbed head's preparation with one stage taken over.

By the perturbed head, or by another tool: SynthStrip's or HD-BET's mask, ANTs' registration.

A perturbed head is prepared as a whole. Then the undisturbed head is prepared again with one
stage's result replaced by the perturbed one's, carried over to its own grid and place: the mask
(`strip`), the bias field (`bias`) or the pose (`register`). `voxels` is the other way round: the
perturbed head's voxels under the undisturbed mask, field and pose, so that only its intensities
and their interpolation differ.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.robustness.head import PerturbedHead
from benchmarks.shared.peers import chain
from runtime.preprocess import bias, register, resample
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template

Volume = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class PreparedHead:
    """A head and what the pipeline made of it.

    Attributes:
        prepared: by the pipeline.
        pose: 4x4, where each point of the undisturbed head (RAS mm) now lies.
        warned: names of the checks that warn of it.
    """

    head: PerturbedHead
    prepared: Prepared
    pose: NDArray[np.float64]
    warned: tuple[str, ...] = ()

    def log_field(self) -> NDArray[np.float32]:
        """The bias field the pipeline found, natural logarithm, on the head's grid."""
        return bias.n4(self.head.array, self.prepared.brain, three(self.head.spacing), "head")

    def carried(self, array: NDArray[np.float32], to: PreparedHead) -> NDArray[np.float32]:
        """An array of this head's grid on another's, point to point of the head; trilinear."""
        mapping = np.linalg.inv(self.pose @ np.linalg.inv(to.pose) @ to.head.affine)
        mapping = np.linalg.inv(mapping @ self.head.affine)
        how = {"output_shape": to.head.array.shape, "order": 1, "mode": "nearest"}
        out: NDArray[np.float32]
        out = ndimage.affine_transform(array, mapping[:3, :3], mapping[:3, 3], **how)
        return out

    def matrix(self, to: PreparedHead) -> NDArray[np.float64]:
        """This head's registration as one of another's: template RAS mm -> its RAS mm."""
        return np.asarray(to.pose @ np.linalg.inv(self.pose) @ self.prepared.transform)


def substituted(base: PreparedHead, other: PreparedHead) -> Iterator[tuple[str, Volume]]:
    """The volume and mask on the crop, stage by stage; see the module.

    Args:
        base: the undisturbed head.
        other: the same head perturbed.
    """
    array, matrix = base.head.array, base.prepared.transform
    own = base.prepared.brain
    brain = other.carried(other.prepared.brain.astype(np.float32), base) >= 0.5
    corrected = bias.correct(array, own, three(base.head.spacing), "head")
    yield "strip", crop(corrected, brain, base.head.affine, matrix)

    field = other.carried(other.log_field(), base)
    yield "bias", crop(array / np.exp(field), own, base.head.affine, matrix)

    yield "register", crop(corrected, own, base.head.affine, other.matrix(base))

    field = base.carried(base.log_field(), other)
    affine = np.linalg.inv(other.pose) @ other.head.affine
    volume = resample.to_crop(other.head.array / np.exp(field), affine, matrix, resample.ORDER)
    yield "voxels", (volume * base.prepared.mask, base.prepared.mask)


def crop(
    corrected: NDArray[np.float32],
    brain: NDArray[np.bool_],
    affine: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> Volume:
    """A corrected scan and its mask on the model's crop, as the pipeline lays them there."""
    inside = resample.to_crop(brain.astype(np.float32), affine, matrix) >= 0.5
    return resample.to_crop(corrected, affine, matrix, resample.ORDER, inside), inside


def three(spacing: NDArray[np.float64]) -> tuple[float, float, float]:
    """A spacing as the bias correction takes it."""
    x, y, z = (float(s) for s in spacing)
    return x, y, z


STRIPPERS = {
    "SynthStrip's mask": ("mri_synthstrip",),
    "HD-BET's mask": ("hd-bet", "-device", "cpu"),
}
"""Name in the tables -> the command that must be on PATH, and its options."""

ANTS = "registered by ANTs"


def absent() -> dict[str, str]:
    """What cannot be compared on this machine, and why."""
    found = {
        name: f"{command} is not on PATH"
        for name, (command, *_) in STRIPPERS.items()
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
    command: Sequence[str], array: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The brain mask by a tool on PATH: every voxel that its stripped image keeps."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "head.nii.gz", Path(folder) / "brain.nii.gz"
        nib.save(nib.Nifti1Image(array, affine), before)
        words = [command[0], "-i", str(before), "-o", str(after), *command[1:]]
        subprocess.run(words, check=True, capture_output=True)
        return np.asarray(nib.load(after).dataobj) > 0
