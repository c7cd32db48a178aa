"""Which stage moves an output: the undisturbed head's preparation with one stage taken over.

A perturbed head is prepared as a whole. Then the undisturbed head is prepared again with one
stage's result replaced by the perturbed one's, carried over to its own grid and place: the mask
(`strip`), the bias field (`bias`) or the pose (`register`). `voxels` is the other way round: the
perturbed head's voxels under the undisturbed mask, field and pose, so that only its intensities
and their interpolation differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.robustness.head import PerturbedHead
from runtime.preprocess import bias, resample
from runtime.preprocess.pipeline import Prepared

Volume = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class PreparedHead:
    """A head and what the pipeline made of it.

    Attributes:
        head: the head.
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
        out: NDArray[np.float32] = ndimage.affine_transform(
            array,
            mapping[:3, :3],
            mapping[:3, 3],
            output_shape=to.head.array.shape,
            order=1,
            mode="nearest",
        )
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
