"""The preprocessing, in order: strip -> bias -> register -> resample, each stage timed.

Scan (its own space) -> Prepared (the model's space). Every stage is a function of its inputs;
this file only hands them on. Source of the order and the geometry: TurboPrep, as used by
3D-Neuro-SimCLR (arXiv 2509.10620), with the brain mask found first so that N4 sees brain only.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool import bundle as bundles
from fmtool import space
from fmtool.bundle import Bundle
from fmtool.errors import PreprocessingError
from runtime.grid import Box, bounds
from runtime.preprocess import Skull, bias, crop, intensity, register, resample
from runtime.preprocess.strip import StripNets, brain_mask_of_stripped, is_stripped, strip
from runtime.preprocess.template import Template
from runtime.preprocess.upright import in_order, stands, upright
from runtime.quality import measure
from runtime.scan import Scan, Source, read
from runtime.system.clock import timed

_MIN_BRAIN_ML = 100.0
# Below this no human head, born or unborn to term, is in the picture: there is nothing to register.

_REACH = 6
# Voxels: a cubic spline's coefficient depends on a voxel so far away by less than 1 in 2000.

_MOST_ORDERS = 4

_REMARKS = {
    "stripped": "The head is already skull-stripped: its own outline bounds the brain mask.",
    "prepared": "The volume was prepared elsewhere: its own mask and space are used as they are.",
}


@dataclass
class Prepared:
    """A scan in the model's space, with what was learnt on the way.

    Attributes:
        volume: float32 (150, 192, 192), crop axes (z, y, x), N4-corrected, zero outside the mask.
        mask: bool, same shape: the brain.
        transform: 4x4, template RAS mm -> scan RAS mm (rigid).
        corrected: float32 (x, y, z), the N4-corrected scan without the frame that padding left, its
            background at zero, its voxels in the order in which the head stands upright: the
            canonical one unless the header turns it far.
        brain: bool, same shape: the brain mask.
        affine: 4x4, their voxel -> scan RAS mm.
        facts: "head" ("whole", "stripped" or "prepared"), "brain_volume_ml", "similarity",
            "registration_problem" (empty when there is none), and what `runtime.quality.measure`
            found, by the checks' keys.
        timings: seconds per stage.
    """

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    transform: NDArray[np.float64]
    corrected: NDArray[np.float32]
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def remarks(self) -> list[str]:
        """What was detected about the head and must be said aloud."""
        said = _REMARKS.get(self.facts["head"])
        return [said] if said else []


@dataclass(frozen=True)
class _Found:
    """A brain, and where it lies."""

    array: NDArray[np.float32]
    affine: NDArray[np.float64]
    head: str
    brain: NDArray[np.bool_]
    left_out: float | None  # by the strip that it came with, percent
    corrected: NDArray[np.float32]
    rigid: register.Rigid


class Preprocessor:
    """The stages with their networks and template loaded once; use it as a context manager."""

    def __init__(self, bundle: Bundle, skull: Skull = "auto") -> None:
        self.skull = skull
        self.template = Template.of(bundle)
        self._nets = StripNets(bundle)

    def __enter__(self) -> Preprocessor:
        self._nets.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._nets.__exit__(*error)

    def run(self, scan: Scan) -> Prepared:
        """Prepare one scan.

        Raises:
            PreprocessingError: if no brain is found in it, naming the scan.
        """
        if scan.mask is not None:
            return self._adopt(scan, scan.mask)
        try:
            return self._stages(scan)
        except PreprocessingError as error:
            name = scan.path if scan.path is not None else "the scan"
            why = f"{name} cannot be prepared: {error}"
            raise PreprocessingError(scan.refused(why)) from None

    def _stages(self, scan: Scan) -> Prepared:
        timings: dict[str, float] = {}
        with timed(timings, "strip"):
            field = crop.content(scan.array, np.linalg.norm(scan.affine[:3, :3], axis=0))
            level = intensity.level(scan.array[field])
        found = self._upright(level, _moved(scan.affine, field), timings)
        brain, corrected, rigid = found.brain, found.corrected, found.rigid
        with timed(timings, "resample"):
            box = _around(brain)
            place = _moved(found.affine, box), rigid.matrix
            mask = resample.to_crop(brain[box].astype(np.float32), *place) >= 0.5
            volume = resample.to_crop(corrected[box], *place, resample.ORDER, mask)
        if not mask.any():
            raise PreprocessingError("the brain lies outside the model's field of view")
        with timed(timings, "check"):
            measured = measure(
                found.array,
                corrected,
                brain,
                found.affine,
                volume,
                mask,
                rigid.matrix,
                self.template.crop,
                found.left_out,
            )
        facts = {
            "head": found.head,
            "brain_volume_ml": _volume_ml(brain, found.affine),
            "similarity": rigid.similarity,
            "registration_problem": rigid.reason,
            **measured,
        }
        return Prepared(volume, mask, rigid.matrix, corrected, brain, found.affine, facts, timings)

    def _upright(
        self, level: NDArray[np.float32], affine: NDArray[np.float64], timings: dict[str, float]
    ) -> _Found:
        """The brain and its pose, in the order of the voxels that tells most about the template."""
        found = self._found(level, affine, timings)
        tried = [np.eye(3)]
        while len(tried) < _MOST_ORDERS:
            pose = found.rigid.matrix if found.rigid.ok else None
            turn = upright(affine, pose, tried)
            if turn is None or (pose is not None and len(tried) > 1 and stands(found.affine, pose)):
                break
            tried.append(turn)
            try:
                other = self._found(*in_order(level, affine, turn), timings)
            except PreprocessingError:  # on its side there is no brain in it
                continue
            found = max(found, other, key=lambda one: one.rigid.information)
        return found

    def _found(
        self, level: NDArray[np.float32], affine: NDArray[np.float64], timings: dict[str, float]
    ) -> _Found:
        """The brain and its pose, for a head that stands more or less upright in the array."""
        with timed(timings, "strip"):
            head, brain, left_out = self._brain(level)
            array = intensity.despike(level, brain)
        volume_ml = _volume_ml(brain, affine)
        if volume_ml < _MIN_BRAIN_ML:
            raise PreprocessingError(
                f"it shows {volume_ml:.0f} mL of brain: not a T1-weighted human head"
            )
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        with timed(timings, "bias"):
            corrected = bias.correct(array, brain, tuple(spacing), "head")
        with timed(timings, "register"):
            rigid = register.rigid(corrected, affine, brain, self.template)
        return _Found(array, affine, head, brain, left_out, corrected, rigid)

    def _brain(self, array: NDArray[np.float32]) -> tuple[str, NDArray[np.bool_], float | None]:
        head: str = self.skull
        if head == "auto":
            head = "stripped" if is_stripped(array) else "whole"
        if head == "stripped":
            return head, *brain_mask_of_stripped(array, self._nets)
        return head, strip(array, self._nets), None

    def _adopt(self, scan: Scan, mask: NDArray[np.bool_]) -> Prepared:
        """TurboPrep's files are in the model's space already: nothing is computed again."""
        timings: dict[str, float] = {}
        with timed(timings, "resample"):
            array = intensity.despike(intensity.level(scan.array), mask)
            inside = np.ascontiguousarray(space.to_crop(mask)).astype(bool)
            volume = np.where(inside, space.to_crop(array), 0.0).astype(np.float32)
        with timed(timings, "check"):
            place = scan.affine, volume, inside, np.eye(4), self.template.crop
            found = measure(array, array, mask, *place, left_out=math.nan)
        facts = {
            "head": "prepared",
            "brain_volume_ml": float(mask.sum()) / 1000.0,
            "similarity": register.similarity(array, scan.affine, mask, self.template),
            "registration_problem": "",
            **found,
        }
        return Prepared(volume, inside, np.eye(4), array, mask, scan.affine, facts, timings)


def prepare(
    scan: Scan | Source,
    bundle: Bundle | str | PathLike[str] | None = None,
    skull: Skull = "auto",
) -> Prepared:
    """Prepare one scan; for several, keep a `Preprocessor` open.

    Args:
        scan: one that was read, or what `runtime.scan.read` takes.
        bundle: whose networks and template to use, opened or a path to it; the demonstration
            bundle's when absent.
        skull: what the scan shows.

    Raises:
        InputError: if the scan cannot be read.
        BundleError: if the bundle is missing or damaged.
        PreprocessingError: if no brain is found in it.

    Example:
        >>> from runtime.preprocess.pipeline import prepare
        >>> prepared = prepare("head.nii.gz")
        >>> prepared.volume.shape, prepared.mask.dtype, prepared.facts["head"]
        ((150, 192, 192), dtype('bool'), 'whole')
    """
    with ExitStack() as stack:
        if not isinstance(bundle, Bundle):
            bundle = stack.enter_context(bundles.open(bundle))
        preprocessor = stack.enter_context(Preprocessor(bundle, skull))
        return preprocessor.run(scan if isinstance(scan, Scan) else read(scan))


def _around(brain: NDArray[np.bool_]) -> Box:
    """The brain's box with as many voxels around it as a spline reaches."""
    box = bounds(brain, _REACH)
    assert box is not None  # a mask without a brain is refused before
    return box


def _volume_ml(brain: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    return float(brain.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000.0)


def _moved(affine: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """The affine of a box of an array."""
    shift = np.eye(4)
    shift[:3, 3] = [part.start for part in box]
    return affine @ shift
