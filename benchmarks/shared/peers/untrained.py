"""Features of the package uncnn: a 3D convolutional network with random weights, never trained.

Source: Encin et al., "Untrained Convolutional Neural Networks as Feature Extractors for Structural
MRI", bioRxiv 2026.06.07.730652, doi:10.64898/2026.06.07.730652.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from fmtool import space
from fmtool.errors import UsageError
from fmtool.progress import scans
from training.cohort.prepared import PreparedScan
from training.store import kept

NAME = "uncnn"
_FLOOR = 0.05  # of the brain's range: its darkest voxel is above the background, as in a scan


def features(entries: Sequence[PreparedScan], cache: Path) -> NDArray[np.float64]:
    """(N, 9664), in the order of `entries`: of each prepared scan on the whole template's grid.

    The package takes files of stripped, normalised scans in MNI152 space, and scales them by ranks
    of their own, so a z-score's zero and unit do not matter.

    Args:
        entries: prepared scans of the model's crop.
        cache: folder; what it holds is not computed again.

    Raises:
        UsageError: without the package.
    """
    try:
        import uncnn

        version = metadata.version(NAME)
    except (ImportError, metadata.PackageNotFoundError):
        raise UsageError(f"{NAME} is not installed; pip install {NAME}") from None
    folder = cache / f"{NAME}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    with (
        scans(len(entries), "Untrained features") as advance,
        tempfile.TemporaryDirectory() as here,
    ):
        for entry in entries:
            file = Path(here) / "scan.nii"

            def make(entry: PreparedScan = entry, file: Path = file) -> NDArray[np.float32]:
                nib.Nifti1Image(as_scanned(entry), space.grid_affine()).to_filename(file)
                one: NDArray[np.float32] = uncnn.extract_features(
                    str(file), batch_size=1, device="cpu"
                )[0]
                return one

            found.append(kept.array(folder / f"{entry.facts['digest']}.npy", make))
            advance()
    return np.stack(found).astype(np.float64)


def as_scanned(entry: PreparedScan) -> NDArray[np.float32]:
    """(193, 229, 193) on the template's grid: zero outside the brain, above zero inside."""
    volume = np.asarray(entry.volume, dtype=np.float32)
    inside = np.asarray(entry.mask, dtype=bool)
    low, high = volume[inside].min(), volume[inside].max()
    lifted = np.where(inside, volume - low + _FLOOR * (high - low), 0.0).astype(np.float32)
    return np.asarray(space.to_grid(lifted), dtype=np.float32)
