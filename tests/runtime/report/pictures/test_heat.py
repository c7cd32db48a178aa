"""Maps as pictures: the strongest place is found, coloured, signed, and said where it is."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from fmtool import space
from runtime.attribution import Attribution, placed
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.report.pictures import heat, pictures, slices

SHAPE = (10, 12, 12)
PLACE = (5, 4, 8)  # (z, y, x): the patient's right, at the back


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.load()


@pytest.fixture(scope="module")
def prepared(template: Template) -> Prepared:
    mask = template.crop > 0
    return Prepared(
        template.crop,
        mask,
        np.eye(4),
        template.array,
        template.mask,
        template.affine,
    )


@pytest.fixture(scope="module")
def found() -> Attribution:
    values = np.zeros(SHAPE, dtype=np.float32)
    values[PLACE] = 4.0
    values[5, 8, 4] = -2.0
    values[9, 11, 11] = 1000.0  # outside the brain
    reference = np.zeros(SHAPE, dtype=np.float32)
    return Attribution(values, float(values.mean()), reference, placed(SHAPE, None))


def test_the_facts_name_the_extremes_inside_the_brain(found, prepared) -> None:
    said = heat.facts(found, prepared.mask)
    assert said["highest"]["value"] == 4.0
    assert said["highest"]["mm"] == list((space.crop_affine() @ [80, 64, 128, 1])[:3])
    assert said["lowest"]["value"] == -2.0
    assert said["inside"] == pytest.approx(6.0 / 1006.0)
    assert said["reference"] == 0.0
    assert json.loads(json.dumps(said)) == said


def test_colours_go_where_the_map_is_and_signs_with_them(found, prepared) -> None:
    said = heat.facts(found, prepared.mask)
    axial = np.asarray(heat.planes(found, prepared, said)["axial"]).astype(int)
    warmth = axial[..., 0] - axial[..., 2]
    # The right of the head is left in the picture, the back is below.
    half_height, half_width = axial.shape[0] // 2, axial.shape[1] // 2
    row, column = np.unravel_index(warmth.argmax(), warmth.shape)
    assert row > half_height
    assert column < half_width
    row, column = np.unravel_index(warmth.argmin(), warmth.shape)
    assert row < half_height
    assert column > half_width
    grey = np.ptp(axial, axis=-1) < 4
    assert grey[:, :20].all()  # nothing outside the brain is coloured


def test_a_plus_is_upright_and_a_minus_is_not() -> None:
    flat = np.zeros((60, 60, 3), dtype=np.uint8)
    values = np.zeros((30, 30), dtype=np.float32)
    values[10:14, 10:14] = 1.0
    values[20:24, 20:24] = -1.0
    shown = heat.Heat(values[None], 1.0).over(flat, values, np.ones((30, 30), dtype=bool))
    white = (shown == 255).all(axis=-1)
    rows, columns = np.nonzero(white[:36, :36])
    assert np.ptp(rows) == np.ptp(columns) == 17
    rows, columns = np.nonzero(white[36:, 36:])
    assert np.ptp(rows) == 3


def test_all_pictures_of_a_page_have_their_names_and_their_size(found, prepared, template) -> None:
    files = pictures.of_scan(prepared, template)
    files |= pictures.of_maps({"age": found}, prepared, template)
    assert sum(map(len, files.values())) < 1.6e6
    layout = json.loads(files["slices.json"])
    for plane in ("axial", "coronal", "sagittal"):
        facts = layout[plane]
        for name, pixel in (
            (f"slices/{plane}/head.jpg", slices.PIXEL),
            (f"slices/{plane}/mask.png", slices.PIXEL),
            (f"slices/{plane}/template.png", slices.PIXEL),
            (f"maps/age/slices/{plane}.png", slices.MAP_PIXEL),
        ):
            image = Image.open(io.BytesIO(files[name]))
            assert image.width == round(facts["width"] / pixel) * facts["columns"]
            assert image.height == round(facts["height"] / pixel) * facts["rows"]
        assert {f"brain/{plane}.jpg", f"registration/{plane}.jpg", f"maps/age/{plane}.jpg"} <= set(
            files
        )


def test_a_slice_is_where_its_millimetres_say(prepared, template) -> None:
    facts = slices.layout(template)["axial"]
    marked = Prepared(**{**vars(prepared), "corrected": template.array.copy()})
    number = len(facts["mm"]) // 2
    level = round(facts["mm"][number] - space.GRID_ORIGIN[2])
    marked.corrected[60, 150, level - 2 : level + 3] = 1e5  # x = -36 mm: the patient's left
    sheet = Image.open(io.BytesIO(slices.head(marked, template)["axial"])).convert("L")
    width = sheet.width // facts["columns"]
    height = sheet.height // facts["rows"]
    row, column = divmod(number, facts["columns"])
    cell = np.asarray(sheet)[row * height :, column * width :][:height, :width].astype(int)
    plain = Image.open(io.BytesIO(slices.head(prepared, template)["axial"])).convert("L")
    before = np.asarray(plain)[row * height :, column * width :][:height, :width].astype(int)
    y, x = np.unravel_index((cell - before).argmax(), cell.shape)
    mm = (facts["left"] - (x + 0.5) * slices.PIXEL, facts["top"] - (y + 0.5) * slices.PIXEL)
    assert mm == pytest.approx((-36.0, 18.0), abs=2.0)
