"""Rigid registration, on made heads and on real ones."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from fmtool import space
from fmtool.errors import BundleError, PreprocessingError
from runtime.preprocess import register, resample
from runtime.preprocess.pyramid import Placed, shrink
from runtime.preprocess.register import mutual
from runtime.preprocess.register.climb import climb
from runtime.preprocess.register.search import rotations
from runtime.preprocess.template import Template
from runtime.transform import about

CENTRE = np.array([0.0, -20.0, 8.0])
SPACING = (1.6, 1.3, 1.9)


def made_brain() -> np.ndarray:
    """Something brain-like on the grid: asymmetric, with a cortex, ventricles and a cerebellum."""
    axes = [np.arange(n) + o for n, o in zip(space.GRID_SHAPE, space.GRID_ORIGIN, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    bumps = 3.0 * np.sin(x / 6.0) * np.cos(y / 7.0) * np.sin(z / 5.0 + 1.0)
    outer = ((x / 66) ** 2 + ((y + 18) / 84) ** 2 + ((z - 12) / 58) ** 2) ** 0.5
    inner = outer + bumps / 45.0
    brain = np.zeros(space.GRID_SHAPE, dtype=np.float32)
    brain[outer < 1.0] = 170.0
    brain[inner < 0.85] = 245.0
    for side in (-14.0, 13.0):
        hole = ((x - side) / 7) ** 2 + ((y + 10) / 26) ** 2 + ((z - 16) / 10) ** 2 < 1
        brain[hole] = 40.0
    lower = (x / 45) ** 2 + ((y + 62) / 28) ** 2 + ((z + 38) / 22) ** 2 < 1
    brain[lower & (brain == 0)] = 190.0
    return brain


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(made_brain(), space.grid_affine())


def scan_of(template: Template, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The template as a scanner would see it, `matrix` being the truth (template -> scan mm)."""
    shape = (110, 140, 100)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (matrix @ [*CENTRE, 1.0])[:3] - 0.5 * np.array(shape) * SPACING
    mapping = np.linalg.inv(template.affine) @ np.linalg.inv(matrix) @ affine
    scan = ndimage.affine_transform(
        template.array, mapping[:3, :3], mapping[:3, 3], output_shape=shape, order=1
    )
    noise = np.random.default_rng(3).normal(0.0, 6.0, shape)
    return np.where(scan > 20.0, 3.0 * scan + 50.0 + noise, 0.0).astype(np.float32), affine


def apart(first: np.ndarray, second: np.ndarray, template: Template) -> tuple[float, float]:
    """Mean and maximum displacement over the brain, mm."""
    index = np.argwhere(template.mask)[::101]
    points = index @ template.affine[:3, :3].T + template.affine[:3, 3]
    difference = first - second
    moved = np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1)
    return float(moved.mean()), float(moved.max())


def header(seed: int, degrees: float = 30.0, millimetres: float = 40.0) -> np.ndarray:
    """A seeded false header about the head's centre."""
    generator = np.random.default_rng(seed)
    axis, way = generator.normal(size=(2, 3))
    turn = np.deg2rad(generator.uniform(0.0, degrees)) * axis / np.linalg.norm(axis)
    return about(CENTRE, turn, generator.uniform(0.0, millimetres) * way / np.linalg.norm(way))


@pytest.mark.parametrize("seed", range(6))
def test_a_known_pose_is_found(template: Template, seed: int) -> None:
    truth = header(seed)
    found = register.rigid(*scan_of(template, truth), None, template)
    mean, most = apart(found.matrix, truth, template)
    assert mean < 0.15
    assert most < 0.3
    assert found.ok
    assert found.reason == ""
    assert found.similarity > 0.8
    assert found.overlap > 0.9
    turn = found.matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_a_head_upside_down_is_found(template: Template) -> None:
    truth = np.diag([1.0, -1.0, -1.0, 1.0]) @ header(1, 10.0, 10.0)
    found = register.rigid(*scan_of(template, truth), None, template)
    assert found.ok
    assert apart(found.matrix, truth, template)[0] < 0.3


def test_size_is_never_matched(template: Template) -> None:
    """A head of 0.9 times the size stays so: the map keeps distances."""
    scan, affine = scan_of(template, np.eye(4))
    found = register.rigid(scan, np.diag([0.9, 0.9, 0.9, 1.0]) @ affine, None, template)
    np.testing.assert_allclose(np.linalg.svd(found.matrix[:3, :3])[1], 1.0, atol=1e-9)


@pytest.mark.parametrize("leash", [0.0, 1e-3])
def test_a_climb_returns_from_a_near_start_unless_held(template: Template, leash: float) -> None:
    scan, affine = scan_of(template, np.eye(4))
    base = Placed(template.array, template.affine)
    brain = Placed(template.mask.astype(np.float32), template.affine)
    fixed = mutual.points(shrink(base, 2.0, 0.0), shrink(brain, 2.0, 0.0), 4.0, 4.0, 1)
    start = about(CENTRE, np.array([0.1, -0.05, 0.08]), np.array([3.0, -2.0, 4.0]))
    end = climb(shrink(Placed(scan, affine), 4.0, 4.0), fixed, start, 0.02, leash=leash)
    left = apart(end.matrix, np.eye(4), template)[0]
    went = apart(end.matrix, start, template)[0]
    whole = apart(start, np.eye(4), template)[0]
    if leash == 0.0:
        assert left < 0.2
    else:
        assert went < 0.9 * whole
    assert (
        end.information
        > mutual.information(shrink(Placed(scan, affine), 4.0, 4.0), fixed, start)[0]
    )


@pytest.mark.parametrize("factor", [0.85, 1.1])
def test_a_head_of_another_size_keeps_its_pose(template: Template, factor: float) -> None:
    """A smaller or larger head turned by 20 degrees: the pose of the same head in that size."""
    truth = header(11, 25.0, 20.0)
    scan, affine = scan_of(template, truth)
    centre = (truth @ [*CENTRE, 1.0])[:3]
    sized = np.diag([factor, factor, factor, 1.0])
    sized[:3, 3] = centre * (1.0 - factor)
    found = register.rigid(scan, sized @ affine, None, template)
    turn = found.matrix[:3, :3].T @ truth[:3, :3]
    assert np.rad2deg(np.arccos((np.trace(turn) - 1.0) / 2.0)) < 3.0


def test_a_mask_is_the_same_as_a_stripped_brain(template: Template) -> None:
    scan, affine = scan_of(template, header(2))
    mask = scan > 0
    whole = np.where(mask, scan, 400.0).astype(np.float32)
    stripped = register.rigid(scan, affine, None, template)
    masked = register.rigid(whole, affine, mask, template)
    np.testing.assert_array_equal(stripped.matrix, masked.matrix)


def test_the_inputs_are_left_alone(template: Template) -> None:
    scan, affine = scan_of(template, header(2))
    before = scan.copy(), affine.copy()
    register.rigid(scan, affine, None, template)
    np.testing.assert_array_equal(scan, before[0])
    np.testing.assert_array_equal(affine, before[1])


def test_gain_does_not_matter(template: Template) -> None:
    scan, affine = scan_of(template, header(4))
    one = register.rigid(scan, affine, None, template)
    other = register.rigid(scan * np.float32(1e-4), affine, None, template)
    assert apart(one.matrix, other.matrix, template)[1] < 0.05


def test_what_does_not_look_like_the_template_is_flagged(template: Template) -> None:
    scan, affine = scan_of(template, np.eye(4))
    inside = scan > 0
    generator = np.random.default_rng(0)
    noise = np.where(inside, generator.uniform(1.0, 2.0, scan.shape), 0.0)
    inverted = np.where(inside, np.percentile(scan, 99.9) - np.minimum(scan, 800.0) + 1.0, 0.0)
    for wrong in (noise, inverted):
        found = register.rigid(wrong.astype(np.float32), affine, None, template)
        assert not found.ok
        assert "similarity" in found.reason


def test_half_a_brain_is_flagged(template: Template) -> None:
    scan, affine = scan_of(template, np.eye(4))
    scan[:, :, :62] = 0.0
    assert not register.rigid(scan, affine, None, template).ok


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_volume_that_no_brain_has_is_flagged(template: Template, factor: float) -> None:
    scan, affine = scan_of(template, np.eye(4))
    found = register.rigid(scan, np.diag([factor] * 3 + [1.0]) @ affine, None, template)
    assert not found.ok
    assert "mL" in found.reason


def test_an_empty_brain_is_an_error(template: Template) -> None:
    scan = np.ones((20, 20, 20), dtype=np.float32)
    with pytest.raises(PreprocessingError, match="empty"):
        register.rigid(scan, np.eye(4), np.zeros(scan.shape, dtype=bool), template)


def test_intensities_centred_on_white_matter_are_as_similar(template: Template) -> None:
    white = np.percentile(template.array[template.mask], 90)
    centred = ((template.array - white) / 3.0).astype(np.float32)  # as WhiteStripe leaves a brain
    assert (centred[template.mask] < 0).mean() > 0.4
    args = template.affine, template.mask, template
    plain = register.similarity(template.array, *args)
    assert plain > 0.95
    assert register.similarity(centred, *args) == pytest.approx(plain, abs=0.05)


def test_similarity_falls_with_a_wrong_pose(template: Template) -> None:
    truth = header(5)
    scan, affine = scan_of(template, truth)
    right = register.similarity(scan, affine, None, template, truth)
    off = about(CENTRE, np.array([0.6, 0.0, 0.35]), np.zeros(3))
    assert right > register.similarity(scan, affine, None, template, truth @ off) + 0.2
    own = register.similarity(template.array, template.affine, None, template)
    assert own > 0.95


def test_the_gradient_is_that_of_the_information(template: Template) -> None:
    """The analytic gradient against differences of the value, along six directions."""
    scan, affine = scan_of(template, np.eye(4))
    base = Placed(template.array, template.affine)
    brain = Placed(template.mask.astype(np.float32), template.affine)
    fixed = mutual.points(shrink(base, 2.0, 0.0), shrink(brain, 2.0, 0.0), 4.0, 4.0, 1)
    moving = shrink(Placed(scan, affine), 4.0, 4.0)
    pose = about(CENTRE, np.array([0.05, -0.04, 0.06]), np.array([2.0, -3.0, 1.5]))
    _, gradient, curvature = mutual.information(moving, fixed, pose)
    assert np.linalg.eigvalsh(curvature).min() > 0
    for k in range(6):
        step = np.zeros(6)
        step[k] = 0.3 / 70.0 if k < 3 else 0.3
        ahead, behind = (
            mutual.information(
                moving, fixed, pose @ np.linalg.inv(about(fixed.centre, s[:3], s[3:]))
            )[0]
            for s in (step, -step)
        )
        scale = float(np.abs(gradient[:3]).max() / 70.0 + np.abs(gradient[3:]).max())
        difference = (ahead - behind) / (2.0 * step[k])
        unit = 70.0 if k < 3 else 1.0
        assert difference / unit == pytest.approx(gradient[k] / unit, abs=0.25 * scale)


def test_the_histogram_is_that_of_one_point_at_a_time() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.uniform(0.0, 31.0, size=(2, 300))
    table, _ = mutual._histogram(first, second, 50.0)
    slow = np.zeros((32, 32))
    slow[0, 0] = 50.0
    for a, b in zip(first, second, strict=True):
        i, j = min(int(a), 30), min(int(b), 30)
        for di, dj in itertools.product((0, 1), repeat=2):
            slow[i + di, j + dj] += abs(1 - di - (a - i)) * abs(1 - dj - (b - j))
    slow = ndimage.gaussian_filter(slow, 1.0, mode="nearest")
    np.testing.assert_allclose(table, slow / slow.sum(), atol=1e-12)


def test_shrinking_keeps_mass_and_place() -> None:
    array = np.zeros((40, 30, 21), dtype=np.float32)
    array[10:25, 8:20, 5:15] = np.random.default_rng(0).random((15, 12, 10))
    affine = about(np.zeros(3), np.array([0.1, 0.2, 0.3]), np.array([5.0, 6.0, 7.0]))
    affine[:3, :3] *= [0.7, 1.0, 1.6]
    small = shrink(Placed(array, affine), 2.0, 3.0)

    def mass(volume: Placed) -> tuple[float, np.ndarray]:
        index = np.array(ndimage.center_of_mass(volume.array.astype(np.float64)))
        total = volume.array.sum(dtype=np.float64) * np.prod(volume.spacing)
        return float(total), volume.affine[:3, :3] @ index + volume.affine[:3, 3]

    before, after = mass(Placed(array, affine)), mass(small)
    assert after[0] == pytest.approx(before[0], rel=0.01)
    np.testing.assert_allclose(after[1], before[1], atol=0.02)


def test_the_search_holds_the_24_axis_rotations() -> None:
    turns = rotations()
    exact = {tuple(np.rint(t).astype(int).ravel()) for t in turns if np.allclose(t, np.rint(t))}
    assert len(exact) == 24
    for turn in turns:
        assert np.linalg.det(turn) == pytest.approx(1.0)


def test_a_template_file_is_checked(tmp_path: Path, template: Template) -> None:
    path = tmp_path / "t.nii.gz"
    with pytest.raises(BundleError, match="does not exist"):
        Template.load(path)
    path.write_bytes(b"no NIfTI")
    with pytest.raises(BundleError, match="unreadable"):
        Template.load(path)
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4)), path)
    with pytest.raises(BundleError, match="grid"):
        Template.load(path)
    nib.save(nib.Nifti1Image(template.array.astype(np.uint8), space.grid_affine()), path)
    read = Template.load(path)
    np.testing.assert_array_equal(read.array, template.array.astype(np.uint8))
    assert read.crop.shape == space.CROP_SHAPE
    np.testing.assert_array_equal(read.crop, space.to_crop(read.array))


@pytest.fixture(scope="module")
def real_template() -> Template:
    pytest.importorskip("nilearn")
    from export.parts.template import make_template

    image = make_template()
    return Template(np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine))


@pytest.fixture(scope="module")
def real_head(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.as_closest_canonical(nib.load(data_dir / "cohort" / "sub-38_T1w.nii.gz"))
    return image.get_fdata(dtype=np.float32), image.affine


@pytest.mark.slow
@pytest.mark.data
def test_a_real_head_returns_from_false_headers(
    real_head: tuple[np.ndarray, np.ndarray], real_template: Template
) -> None:
    scan, affine = real_head
    straight = register.rigid(scan, affine, None, real_template)
    assert straight.ok
    for seed in range(6):
        false = header(seed)
        found = register.rigid(scan, false @ affine, None, real_template)
        back = np.linalg.inv(false) @ found.matrix
        assert apart(back, straight.matrix, real_template)[0] < 0.5 or not found.ok


@pytest.mark.slow
@pytest.mark.data
def test_a_real_head_in_several_orientations_is_prepared_alike(
    real_head: tuple[np.ndarray, np.ndarray], real_template: Template
) -> None:
    """Every axis order and a few flips: reading, registering and resampling see one head."""
    scan, affine = real_head
    image = nib.Nifti1Image(scan, affine)
    expected = None
    for number, axes in enumerate(itertools.permutations(range(3))):
        signs = [1 if number >> k & 1 else -1 for k in range(3)]
        wanted = np.array(list(zip(axes, signs, strict=True)))
        turn = nib.orientations.ornt_transform(nib.io_orientation(affine), wanted)
        read = nib.as_closest_canonical(image.as_reoriented(turn))
        array = np.asarray(read.dataobj, dtype=np.float32)
        found = register.rigid(array, read.affine, None, real_template)
        crop = resample.to_crop(array, read.affine, found.matrix)
        expected = crop if expected is None else expected
        assert np.linalg.norm(crop - expected) < 1e-3 * np.linalg.norm(expected)


@pytest.mark.data
@pytest.mark.parametrize("name", ["niivue_M2208_T2w", "niivue_CT_AVM", "infant_stripped_T1w"])
def test_what_is_no_adult_t1_brain_is_flagged(
    name: str, data_dir: Path, real_template: Template
) -> None:
    image = nib.as_closest_canonical(nib.load(data_dir / "bad" / f"{name}.nii.gz"))
    array = image.get_fdata(dtype=np.float32)
    assert not register.rigid(array, image.affine, None, real_template).ok
