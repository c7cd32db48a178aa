"""Pictures: where left and right, up and down end up, and that the lines follow the mask."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fmtool.space import CROP_SHAPE
from runtime.report.pictures import panel, picture


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def ball(shape: tuple[int, int, int], radius: float, shift: int = 0) -> NDArray[np.bool_]:
    grids = np.ogrid[tuple(slice(n) for n in shape)]
    distance = sum((g - n / 2 - shift) ** 2 for g, n in zip(grids, shape, strict=True))
    return np.asarray(distance < radius**2)


@pytest.mark.parametrize(
    ("axis", "corner"),
    [(2, "right anterior"), (1, "right superior"), (0, "anterior superior")],
)
def test_a_plane_shows_right_or_anterior_on_the_left_and_the_top_above(
    axis: int, corner: str
) -> None:
    volume = np.zeros((4, 5, 6), dtype=np.float32)
    ends = {"right": (0, 3), "anterior": (1, 4), "superior": (2, 5)}
    index = [1, 1, 1]
    for word in corner.split():
        where, last = ends[word]
        index[where] = last
    volume[tuple(index)] = 1.0
    shown = panel.plane(volume, axis, 1)
    rows, columns = (n for a, n in reversed(list(enumerate(volume.shape))) if a != axis)
    assert shown.shape == (rows, columns)
    assert shown[0, 0] == 1.0
    assert shown.sum() == 1.0


def test_the_outline_runs_along_the_mask_and_only_there() -> None:
    mask = ball((60, 70, 50), 18)
    image = np.asarray(picture.brain_picture(mask.astype(np.float32), mask, (1.0, 1.0, 1.0)))
    axial = image[12 : 12 + 140, 12 : 12 + 120]
    coloured = np.argwhere((axial == picture.MASK_COLOUR).all(axis=-1))
    assert len(coloured) > 150
    distance = np.linalg.norm(coloured + 0.5 - [70, 60], axis=1) / 2
    assert distance.min() > 15.5
    assert distance.max() < 19.5


def test_voxel_sizes_set_the_proportions() -> None:
    mask = ball((40, 40, 20), 8)
    cube = np.asarray(picture.brain_picture(mask.astype(np.float32), mask, (1.0, 1.0, 2.0)))
    assert cube.shape[1] == 3 * 80 + 4 * 12  # every panel is 40 mm, 80 pixels, wide


def test_the_prepared_brain_and_the_template_are_drawn() -> None:
    mask, template_mask = ball(CROP_SHAPE, 50), ball(CROP_SHAPE, 60)
    template = np.where(template_mask, 300.0, 0).astype(np.float32)
    template[ball(CROP_SHAPE, 40)] = 900.0
    volume = np.where(mask, 100.0, 0).astype(np.float32)
    sheet = pixels(picture.qc_png(volume, mask, template))
    brain = np.asarray(picture.brain_picture(volume.transpose(2, 1, 0), mask.transpose(2, 1, 0)))
    np.testing.assert_array_equal(sheet[: len(brain)], brain)
    registered = sheet[len(brain) :]
    assert (registered == picture.TEMPLATE_COLOUR).all(axis=-1).sum() > 1000
    assert not (registered == picture.MASK_COLOUR).all(axis=-1).any()


def test_an_empty_mask_and_a_flat_volume_still_give_a_picture() -> None:
    empty = np.zeros((20, 20, 20), dtype=bool)
    assert np.asarray(picture.brain_picture(np.zeros(empty.shape, np.float32), empty)).ndim == 3
