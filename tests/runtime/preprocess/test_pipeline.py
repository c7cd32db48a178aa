"""The stages in order: a synthetic pose is undone, prepared files are taken as they are."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from fmtool import bundle, space
from fmtool.errors import PreprocessingError
from runtime.preprocess.pipeline import Preprocessor
from runtime.preprocess.upright import in_order
from runtime.preprocess.upright import upright as upright_turn
from runtime.scan import Scan
from runtime.transform import about, quarter_turns, rotation


@pytest.fixture(scope="module")
def stages():
    with Preprocessor(bundle.open()) as opened:
        yield opened


def test_prepared_files_are_taken_as_they_are(stages):
    template = stages.template
    scan = Scan(template.array, template.affine, mask=template.mask)
    prepared = stages.run(scan)
    np.testing.assert_array_equal(prepared.mask, space.to_crop(template.mask))
    np.testing.assert_array_equal(prepared.volume, np.where(prepared.mask, template.crop, 0))
    np.testing.assert_array_equal(prepared.transform, np.eye(4))
    assert prepared.facts["head"] == "prepared"
    assert prepared.facts["similarity"] > 0.8
    assert prepared.facts["brain_volume_ml"] == pytest.approx(template.mask.sum() / 1000)
    assert "prepared elsewhere" in prepared.remarks[0]


def test_a_prepared_volume_is_as_similar_wherever_its_zero_lies(stages):
    """WhiteStripe leaves grey matter below zero; that says nothing about the registration."""
    template = stages.template
    shifted = np.where(template.mask, template.array - np.quantile(template.array, 0.99), 0.0)
    scan = Scan(shifted.astype(np.float32), template.affine, mask=template.mask)
    assert stages.run(scan).facts["similarity"] > 0.8


def test_a_stripped_head_in_an_odd_pose_comes_back(stages):
    """The template turned by 20 degrees and moved, with a known bias field, on another grid."""
    template = stages.template
    pose = about(np.zeros(3), np.deg2rad([12.0, -8.0, 14.0]), np.array([15.0, -10.0, 20.0]))
    affine = np.diag([-1.2, 1.1, 1.3, 1.0])
    affine[:3, 3] = [130.0, -140.0, -110.0]
    shape = (200, 230, 180)
    to_template = np.linalg.inv(template.affine) @ np.linalg.inv(pose) @ affine
    array = ndimage.affine_transform(
        template.array, to_template[:3, :3], to_template[:3, 3], output_shape=shape, order=1
    )
    ramp = np.linspace(-0.2, 0.2, shape[1], dtype=np.float32)[None, :, None]
    image = nib.as_closest_canonical(nib.Nifti1Image(array * np.exp(ramp), affine))
    scan = Scan(np.asarray(image.dataobj, dtype=np.float32), image.affine)

    prepared = stages.run(scan)
    assert prepared.facts["head"] == "stripped"
    assert prepared.facts["registration_problem"] == ""
    corners = np.array([[x, y, z, 1.0] for x in (-60, 60) for y in (-90, 60) for z in (-40, 70)])
    moved = (corners @ (prepared.transform - pose).T)[:, :3]
    assert np.linalg.norm(moved, axis=1).max() < 1.0
    both = prepared.mask & (template.crop > 0)
    assert 2 * both.sum() / (prepared.mask.sum() + (template.crop > 0).sum()) > 0.95
    alike = np.corrcoef(prepared.volume[both], template.crop[both])[0, 1]
    assert alike > 0.9
    known = ["strip", "bias", "register", "resample", "check"]
    assert [stage for stage in prepared.timings if stage in known] == known


@pytest.fixture(scope="module")
def upright(stages):
    """A whole head that a package carries, at 2 mm, and how it is prepared as it is."""
    pydeface = pytest.importorskip("pydeface", reason="pydeface's whole-head average is absent")
    image = nib.load(Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz")
    image = nib.as_closest_canonical(image.slicer[::2, ::2, ::2])
    head = Scan(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    return head, stages.run(head)


def through_its_header(head, turn):
    """The scan as it is read from a file with that affine: the canonical order follows it."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(np.deg2rad(np.array(turn)))
    image = nib.as_closest_canonical(nib.Nifti1Image(head.array, affine @ head.affine))
    return Scan(np.asarray(image.dataobj, dtype=np.float32), image.affine)


@pytest.mark.parametrize(
    "turn",
    [
        (-44, 0, 0),
        (-46, 0, 0),
        pytest.param((-60, 0, 0), marks=pytest.mark.slow),
        pytest.param((0, 46, 0), marks=pytest.mark.slow),
        pytest.param((0, 0, -46), marks=pytest.mark.slow),
    ],
)
def test_a_head_turned_beyond_45_degrees_is_prepared_as_one_below(stages, upright, turn):
    """Stripping knows upright heads; the canonical order lays them on their side from there on."""
    head, straight = upright
    got = stages.run(through_its_header(head, turn))
    assert got.facts["brain_volume_ml"] == pytest.approx(straight.facts["brain_volume_ml"], 0.01)
    assert got.facts["similarity"] == pytest.approx(straight.facts["similarity"], abs=0.01)
    difference = np.linalg.norm(got.volume - straight.volume) / np.linalg.norm(straight.volume)
    assert difference < 0.02


def test_a_header_that_no_head_has_is_doubted_even_where_the_pose_looks_upright():
    """A lying head can be registered as if it stood; below 35 degrees the pose is believed."""
    for degrees, doubted in ((44.0, True), (31.0, False)):
        affine = about(np.zeros(3), np.deg2rad([degrees, 0.0, 0.0]), np.zeros(3))
        turn = upright_turn(affine, affine, [np.eye(3)])
        assert (turn is not None) == doubted


def test_every_order_of_the_voxels_keeps_their_place():
    generator = np.random.default_rng(0)
    array = generator.random((4, 5, 6), dtype=np.float32)
    affine = about(np.zeros(3), np.array([0.3, -0.2, 0.5]), np.array([5.0, 6.0, 7.0]))
    affine[:3, :3] *= [1.0, 1.5, 2.0]
    for turn in quarter_turns():
        other, moved = in_order(array, affine, turn)
        index = generator.integers(0, other.shape)
        point = moved @ [*index, 1.0]
        origin = np.rint(np.linalg.solve(affine, point)[:3]).astype(int)
        np.testing.assert_allclose(affine @ [*origin, 1.0], point, atol=1e-9)
        assert other[tuple(index)] == array[tuple(origin)]
        axes = [a[:3, :3] / np.linalg.norm(a[:3, :3], axis=0) for a in (affine, moved)]
        np.testing.assert_allclose(axes[1], axes[0] @ turn, atol=1e-9)


def test_a_refusal_repeats_what_was_said_of_the_header(stages):
    said = "The header gives lengths in metres; they were converted to mm."
    empty = Scan(np.zeros((40, 40, 40), dtype=np.float32), np.eye(4), facts={"warnings": [said]})
    with pytest.raises(PreprocessingError, match=f"cannot be prepared: .*{said}"):
        stages.run(empty)
