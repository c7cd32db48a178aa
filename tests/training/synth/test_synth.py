"""Synthetic heads: the same seed, the same files; what is hidden in them can be measured."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fmtool import space
from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, SEX
from training import cohort as cohorts
from training.synth import acquisition, anatomy, cohort, deformation
from training.synth.acquisition import Acquisition
from training.synth.anatomy import Anatomy
from training.synth.render import RenderGrid, SyntheticHead, render
from training.synth.subject import Subject, draw, generator

COARSE = 4.0


@pytest.fixture(scope="module")
def average() -> Anatomy:
    return anatomy.load()


@pytest.fixture(scope="module")
def frame() -> RenderGrid:
    affine = np.diag([COARSE] * 3 + [1.0])
    affine[:3, 3] = [-104.0, -144.0, -100.0]
    return RenderGrid((52, 66, 56), affine)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return replace(
        draw(0, 1), expansion_mm=0.0, thinning_mm=0.3, size=1.0, aspect=np.ones(3), warp_mm=0.0
    )


@pytest.fixture(scope="module")
def clean() -> Acquisition:
    """Without noise, bias, blur, gamma or pose."""
    scan = acquisition.draw(generator(0), straight=True)
    return replace(
        scan, fluid=0.2, grey=0.7, gamma=1.0, bias=1e-9, noise=0.0, blur_mm=1e-3, strip_mm=0.0
    )


def rendered(
    average: Anatomy, subject: Subject, scan: Acquisition, frame: RenderGrid
) -> SyntheticHead:
    return render(average, subject, scan, frame, generator(1))


def test_size_scales_the_brain(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    small, large = (
        rendered(average, replace(subject, size=size), clean, frame) for size in (0.95, 1.05)
    )
    ratio = large.mask.sum() / small.mask.sum()
    assert ratio == pytest.approx((1.05 / 0.95) ** 3, rel=0.04)
    assert large.truth["brain_ml"] / small.truth["brain_ml"] == pytest.approx(ratio, rel=0.02)


def test_expansion_widens_the_ventricles_alone(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    heads = [
        rendered(average, replace(subject, expansion_mm=mm), clean, frame)
        for mm in (-1.0, 1.0, 3.0)
    ]
    volumes = [head.truth["ventricles_ml"] for head in heads]
    assert volumes[0] < volumes[1] < volumes[2]
    assert volumes[2] > 1.5 * volumes[0]
    assert heads[2].mask.sum() == pytest.approx(heads[0].mask.sum(), rel=0.01)
    # The same is seen in the image: dark voxels deep inside.
    deep = (slice(21, 31), slice(23, 41), slice(22, 36))
    dark = [(head.voxels[deep] < 60).sum() for head in heads]
    assert dark[0] < dark[1] < dark[2]


def test_thinning_takes_tissue_and_leaves_the_hull(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    thick, thin = (
        rendered(average, replace(subject, thinning_mm=mm), clean, frame) for mm in (0.0, 1.0)
    )
    assert thin.truth["tissue_ml"] < 0.95 * thick.truth["tissue_ml"]
    assert thin.mask.sum() == thick.mask.sum()


def test_volumes_in_the_truth_are_those_of_the_brain(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    head = rendered(average, subject, replace(clean, strip_mm=0.05), frame)
    millilitres = COARSE**3 / 1000.0
    assert head.truth["brain_ml"] == pytest.approx(head.mask.sum() * millilitres, rel=0.02)
    assert 0.0 < head.truth["ventricles_ml"] < 0.05 * head.truth["tissue_ml"]
    assert head.truth["tissue_ml"] < head.truth["brain_ml"]


@pytest.mark.slow
def test_the_factors_can_be_measured_in_the_images(
    average: Anatomy, clean: Acquisition, frame: RenderGrid
) -> None:
    people = [draw(7, number) for number in range(1, 21)]
    ages, sizes = np.array([(p.age, p.size) for p in people]).T
    scans = [acquisition.draw(generator(7, 2, n, 1), straight=True) for n in range(1, 21)]
    volumes = [
        rendered(average, person, scan, frame).mask.sum()
        for person, scan in zip(people, scans, strict=True)
    ]
    assert np.corrcoef(volumes, sizes)[0, 1] > 0.85
    # Fluid is told from tissue by its intensity, in a box around the lateral ventricles.
    box = (slice(20, 33), slice(22, 44), slice(25, 33))
    heads = [rendered(average, person, clean, frame) for person in people]
    fluid = [(head.voxels[box] < 160.0 * 0.45).sum() for head in heads]
    assert np.corrcoef(fluid, [head.truth["ventricles_ml"] for head in heads])[0, 1] > 0.85
    assert np.corrcoef(fluid, ages)[0, 1] > 0.7


def test_the_pose_moves_the_head_as_its_matrix_says(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    straight = rendered(average, subject, clean, frame)
    moved = rendered(average, subject, replace(clean, shift_mm=np.array([8.0, -4.0, 4.0])), frame)
    centres = [np.argwhere(head.mask).mean(axis=0) * COARSE for head in (straight, moved)]
    # The pose maps scan -> straight: the head in the scan lies the other way.
    np.testing.assert_allclose(centres[0] - centres[1], [8.0, -4.0, 4.0], atol=0.3)


def test_noise_and_bias_are_as_strong_as_drawn(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    still = rendered(average, subject, clean, frame)
    noisy = rendered(average, subject, replace(clean, noise=0.05), frame)
    biased = rendered(average, subject, replace(clean, bias=0.2), frame)
    bright = still.voxels > 100
    residual = (noisy.voxels[bright].astype(float) - still.voxels[bright]) / 160.0
    assert residual.std() == pytest.approx(0.05, rel=0.1)
    log = np.log(biased.voxels[bright] / still.voxels[bright].astype(float))
    assert 0.08 < log.std() < 0.25


def test_the_head_is_stripped(
    average: Anatomy, subject: Subject, clean: Acquisition, frame: RenderGrid
) -> None:
    head = rendered(average, subject, clean, frame)
    assert ((head.voxels > 0) == head.mask).all()
    shallow = rendered(average, subject, replace(clean, strip_mm=2.0), frame)
    assert shallow.mask.sum() < head.mask.sum()


def test_a_point_comes_from_where_the_equation_says(average: Anatomy, subject: Subject) -> None:
    point = np.array([30.0, -40.0, 20.0])
    pose = replace(acquisition.draw(generator(3)), shift_mm=np.array([1.0, 2.0, 3.0])).pose()
    found = deformation.source(
        point[:, None, None, None], average, replace(subject, size=1.1), pose
    ).ravel()
    straight = pose[:3, :3] @ point + pose[:3, 3]
    expected = deformation.CENTRE_MM + (straight - deformation.CENTRE_MM) / 1.1
    world = average.affine[:3, :3] @ found + average.affine[:3, 3]
    np.testing.assert_allclose(world, expected, atol=1e-3)


def test_hidden_factors_follow_age_and_sex_and_overlap() -> None:
    people = [draw(4, number) for number in range(1, 401)]
    ages = np.array([p.age for p in people])
    assert 20.0 <= ages.min() < 25.0
    assert 75.0 < ages.max() <= 80.0
    assert np.corrcoef(ages, [p.expansion_mm for p in people])[0, 1] > 0.9
    assert np.corrcoef(ages, [p.thinning_mm for p in people])[0, 1] > 0.8
    male = np.array([p.sex == "M" for p in people])
    assert male.sum() == 200
    sizes = np.array([p.size for p in people])
    assert sizes[male].mean() - sizes[~male].mean() > 0.03
    assert sizes[~male].max() > sizes[male].min()
    assert abs(np.corrcoef(ages, sizes)[0, 1]) < 0.15


def test_nuisances_know_nothing_of_the_factors() -> None:
    people = [draw(4, number) for number in range(1, 301)]
    scans = [acquisition.draw(generator(4, 2, number, 1)).facts() for number in range(1, 301)]
    factors = [[p.age for p in people], [float(p.sex == "M") for p in people]]
    for name in scans[0]:
        values = [scan[name] for scan in scans]
        assert np.std(values) > 0, name
        assert all(abs(np.corrcoef(values, factor)[0, 1]) < 0.25 for factor in factors), name


def digest(folder: Path) -> dict[str, str]:
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """Two subjects, two sessions, coarse."""
    out = tmp_path_factory.mktemp("synth") / "heads"
    return cohort.write(out, 2, seed=5, sessions=2, spacing=COARSE)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    cohort.write(tmp_path / "again", 2, seed=5, sessions=2, spacing=COARSE)
    assert digest(tmp_path / "again") == digest(folder)
    cohort.write(tmp_path / "other", 2, seed=6, sessions=2, spacing=COARSE)
    scan = "sub-syn0001/ses-01/anat/sub-syn0001_ses-01_T1w.nii.gz"
    assert digest(tmp_path / "other")[scan] != digest(folder)[scan]


def test_sessions_show_one_head_with_other_nuisances(folder: Path) -> None:
    with (folder / "truth.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 4
    assert rows[0]["size"] == rows[1]["size"]
    assert rows[0]["noise"] != rows[1]["noise"]


def test_everything_says_that_it_is_synthetic(folder: Path) -> None:
    assert "NO PERSON WAS SCANNED" in (folder / "README").read_text(encoding="utf-8")
    assert (
        json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))["Synthetic"]
        is True
    )
    for table in ("participants.tsv", "truth.tsv"):
        with (folder / table).open() as stream:
            assert {row["synthetic"] for row in csv.DictReader(stream, delimiter="\t")} == {"yes"}
    for scan in folder.rglob("*.nii.gz"):
        assert b"SYNTHETIC" in nib.load(scan).header["descrip"].tobytes()


@pytest.mark.parametrize("task", [AGE, SEX])
def test_it_is_read_as_a_cohort(folder: Path, task: Any) -> None:
    rows = cohorts.read(folder, task).rows
    assert [row.subject for row in rows] == ["sub-syn0001"] * 2 + ["sub-syn0002"] * 2
    assert [row.session for row in rows] == ["ses-01", "ses-02"] * 2
    expected = [draw(5, number) for number in (1, 1, 2, 2)]
    labels = [p.age if task is AGE else float(p.sex == "M") for p in expected]
    assert [row.label for row in rows] == labels


@pytest.mark.slow
def test_a_prepared_cohort_is_on_the_models_grid(tmp_path: Path) -> None:
    table = cohort.write(tmp_path / "heads", 1, seed=5, prepared=True)
    for task in (AGE, SEX):
        (row,) = cohorts.read(table, task).rows
        assert row.mask is not None
    image, mask = nib.load(row.image), nib.load(row.mask)
    assert image.shape == space.GRID_SHAPE
    np.testing.assert_array_equal(image.affine, space.grid_affine())
    assert ((np.asarray(image.dataobj) > 0) == (np.asarray(mask.dataobj) > 0)).all()


def test_a_folder_that_holds_something_is_left_alone(folder: Path) -> None:
    before = digest(folder)
    with pytest.raises(InputError, match="is not an empty folder"):
        cohort.write(folder, 1, seed=0)
    assert digest(folder) == before


def test_nobody_makes_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 subjects"):
        cohort.write(tmp_path / "none", 0, seed=0)
    assert not (tmp_path / "none").exists()
