"""The reference preprocessing chain: ANTs N4, deepbet in torch, antsRegistrationSyNQuick[r].

It follows TurboPrep's order and settings (N4 with shrink factor 3 and no mask, a brain
extraction, a rigid registration to the MNI152 template, linear interpolation), with deepbet in
the place of SynthStrip and SynthSeg, which no package registry carries.

Source: github.com/LemuelPuglisi/turboprep for the order and N4's settings.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.shared import script

# ITK works in LPS; NIfTI and fmtool in RAS. The two differ by the sign of x and y.
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass
class Reference:
    """What the reference chain made of one scan.

    Attributes:
        corrected: the N4-corrected scan, float32 (x, y, z), in the scan's own canonical (RAS) grid.
        mask: deepbet's brain mask on that grid, bool.
        affine: 4x4, voxel -> RAS mm.
        matrix: 4x4, template RAS mm -> scan RAS mm.
        timings: seconds per stage.
    """

    corrected: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    matrix: np.ndarray
    timings: dict[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Keep it as .npz: the chain takes minutes a head."""
        staged = path.with_suffix(".partial.npz")
        np.savez(
            staged,
            corrected=self.corrected,
            mask=self.mask,
            affine=self.affine,
            matrix=self.matrix,
            timings=json.dumps(self.timings),
        )
        staged.rename(path)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """The inverse of `save`."""
        with np.load(path) as kept:
            timings = json.loads(str(kept["timings"]))
            return cls(kept["corrected"], kept["mask"], kept["affine"], kept["matrix"], timings)


def ants_image(array: np.ndarray, affine: np.ndarray):  # type: ignore[no-untyped-def]
    """`array` (x, y, z) with a RAS mm `affine` as an ANTs image (LPS inside)."""
    import ants

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "image.nii")
        nib.save(nib.Nifti1Image(array.astype(np.float32), affine), path)
        return ants.image_read(path)


def n4(image: nib.Nifti1Image) -> np.ndarray:
    """ANTs N4 as TurboPrep calls it: shrink factor 3, no mask, the defaults otherwise."""
    import ants

    moving = ants_image(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    # The command line's default convergence threshold is 0: every iteration runs.
    out = ants.n4_bias_field_correction(
        moving, shrink_factor=3, convergence={"iters": [50, 50, 50, 50], "tol": 0.0}
    )
    return np.asarray(out.numpy(), dtype=np.float32)


def deepbet_mask(image: nib.Nifti1Image) -> np.ndarray:
    """deepbet's mask of a canonical (RAS) image, in torch on the CPU, as bool (x, y, z)."""
    from deepbet.bet import BrainExtraction

    _, mask, _ = BrainExtraction(no_gpu=True).run(image)
    return np.asarray(mask.dataobj) > 0


def syn_quick_rigid(
    moving: np.ndarray, affine: np.ndarray, template: np.ndarray, template_affine: np.ndarray
) -> np.ndarray:
    """antsRegistrationSyNQuick[r]: 4x4, template RAS mm -> scan RAS mm; another one each time.

    `ants.registration` ignores its `random_seed`; `benchmarks.registration` has the spread.
    """
    import ants

    out = ants.registration(
        fixed=ants_image(template, template_affine),
        moving=ants_image(moving, affine),
        type_of_transform="antsRegistrationSyNQuick[r]",
    )
    transform = ants.read_transform(out["fwdtransforms"][0])
    rotation = np.asarray(transform.parameters[:9]).reshape(3, 3)
    shift = np.asarray(transform.parameters[9:])
    centre = np.asarray(transform.fixed_parameters)
    lps = np.eye(4)
    lps[:3, :3] = rotation
    lps[:3, 3] = shift + centre - rotation @ centre
    for path in (*out["fwdtransforms"], *out["invtransforms"]):
        Path(path).unlink(missing_ok=True)
    return np.asarray(_LPS @ lps @ _LPS)


def run(
    image: nib.Nifti1Image,
    template: np.ndarray,
    template_affine: np.ndarray,
    say: Callable[[str, float], None] = lambda stage, seconds: None,
) -> Reference:
    """The whole chain on one scan.

    Args:
        image: a 3D NIfTI image of a whole or a stripped head.
        template: the brain template, (x, y, z), any intensity unit.
        template_affine: 4x4, voxel -> RAS mm.
        say: told each stage and its seconds as soon as it is done.
    """
    image = nib.as_closest_canonical(image)
    timings: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], np.ndarray]) -> np.ndarray:
        found, timings[stage] = script.timed(work)
        say(stage, timings[stage])
        return found

    corrected = timed("bias", lambda: n4(image))
    mask = timed("strip", lambda: deepbet_mask(nib.Nifti1Image(corrected, image.affine)))
    matrix = timed(
        "register",
        lambda: syn_quick_rigid(corrected * mask, image.affine, template, template_affine),
    )
    return Reference(corrected, mask, image.affine, matrix, timings)
