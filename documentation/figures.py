"""The explanation pages' figures: `python -m documentation.figures` (needs the bench extra)."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import nibabel as nib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from fmtool import bundle, space

OUT = Path(__file__).resolve().parents[1] / "docs" / "figures"


def crop_on_template(path: Path) -> None:
    """The demonstration bundle's template in three planes, with the outline of the crop."""
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj, dtype=np.float32)
    start = np.array(space.CROP_START)[::-1]  # x, y, z
    size = np.array(space.CROP_SHAPE)[::-1]
    centre = np.round(-np.array(space.GRID_ORIGIN)).astype(int)  # the voxel at 0, 0, 0 mm
    planes = (("axial", 2, 0, 1), ("coronal", 1, 0, 2), ("sagittal", 0, 1, 2))
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), facecolor="white")
    for axis, (name, across, right, up) in zip(axes, planes, strict=True):
        picture = np.take(template, centre[across], axis=across)
        axis.imshow(picture.T, origin="lower", cmap="gray", aspect="equal")
        corner = start[right] - 0.5, start[up] - 0.5
        axis.add_patch(Rectangle(corner, size[right], size[up], fill=False, ec="#00897b", lw=2))
        axis.set_title(f"{name}, {'xyz'[across]} = 0 mm", fontsize=10)
        axis.set_xlabel(f"{'xyz'[right]}, {picture.shape[0]} mm", fontsize=9)
        axis.set_ylabel(f"{'xyz'[up]}, {picture.shape[1]} mm", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def coverage(path: Path, trials: int = 4000) -> None:
    """Coverage of split conformal intervals at 90 %, over all new people and by their difficulty.

    The law is that of the page: errors with heavy tails, four times as large in a fifth of people.
    """
    rng = np.random.default_rng(0)
    sizes = (19, 39, 79, 159, 319)
    found: dict[str, list[float]] = {"all new people": [], "the easier": [], "the harder fifth": []}
    for n in sizes:
        hard = rng.random((trials, n + 1)) < 0.2
        errors = np.abs(rng.standard_t(3, size=hard.shape)) * np.where(hard, 4.0, 1.0)
        rank = int(np.ceil(0.9 * (n + 1))) - 1
        inside = errors[:, n] <= np.sort(errors[:, :n], axis=1)[:, rank]
        for name, who in zip(found, (hard[:, n] < 2, ~hard[:, n], hard[:, n]), strict=True):
            found[name].append(float(inside[who].mean()))
    figure, axis = plt.subplots(figsize=(7, 3.4), facecolor="white")
    for (name, values), colour in zip(
        found.items(), ("#00897b", "#888888", "#c62828"), strict=True
    ):
        axis.plot(sizes, np.multiply(values, 100), "o-", color=colour, label=name)
    axis.axhline(90, color="black", lw=0.8, ls="--")
    axis.set_xscale("log")
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.minorticks_off()
    axis.set_xlabel("people to calibrate on")
    axis.set_ylabel("covered, %")
    axis.set_ylim(40, 102)
    axis.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Draw all figures anew."""
    OUT.mkdir(parents=True, exist_ok=True)
    crop_on_template(OUT / "space.png")
    coverage(OUT / "conformal.png")


if __name__ == "__main__":
    main()
