"""The demonstration's own parts: views within places, the guard, the choice inside folds."""

from __future__ import annotations

import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.demo import __main__ as demo
from benchmarks.demo import choose, heads, local, pretrain, synthetic
from benchmarks.demo.choose import Contender
from benchmarks.shared.held import HeldScan
from fmtool import space
from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training import encoders, probe
from training.cohort import Cohort, Row
from training.cohort.exposure import overlap
from training.evidence import splits
from training.fit.recipe import ScanBatch


@pytest.fixture
def cohorts() -> list[Cohort]:
    """Twenty people, three renditions each."""
    random = np.random.default_rng(0)
    names = [(f"s{i // 3}", ("heads", "fine", "turned")[i % 3]) for i in range(60)]
    rows = [
        Row(s, Path(kind) / f"{s}.nii", None, 0.0, None, i) for i, (s, kind) in enumerate(names)
    ]
    aged = Cohort(Path("made"), AGE, rows).relabelled(random.uniform(20, 80, 20).repeat(3))
    return [aged, Cohort(Path("made"), SEX, rows).relabelled((np.arange(20) % 2).repeat(3))]


def side(x: np.ndarray, other: np.ndarray) -> tuple[list[Contender], np.ndarray]:
    """Two candidates of as many features each, and the features of both."""
    kept = np.repeat([True, False], x.shape[1])
    return [Contender("one", kept), Contender("other", ~kept)], np.concatenate([x, other], axis=1)


def test_the_dual_is_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    random = np.random.default_rng(1)
    x, y = random.normal(size=(30, 50)), random.normal(size=30)
    train, test = np.arange(20), np.arange(20, 30)
    found = choose.ridge(x @ x.T, y, train, test)
    own = x[train] - x[train].mean(0)
    penalty = choose.STRENGTHS[2] * np.linalg.eigvalsh(own @ own.T).mean()
    expected = Ridge(alpha=penalty).fit(x[train], y[train]).predict(x[test])
    np.testing.assert_allclose(found[2], expected, rtol=1e-6)


def test_folds_choose_what_knows_the_task(cohorts: list[Cohort]) -> None:
    random = np.random.default_rng(2)
    noise = random.normal(size=(60, 20))
    told = noise.copy()
    told[:, 0] = cohorts[0].labels
    found, x = side(noise, told)
    predictions, fold, picked = choose.nested(found, x, 1, cohorts[0], seed=0, folds=3, repeats=1)
    assert picked == {"other": 3}
    assert set(fold.ravel()) == {0, 1, 2}
    assert np.corrcoef(predictions[0], cohorts[0].labels)[0, 1] > 0.9


def test_a_choice_does_not_see_the_people_it_is_judged_by(cohorts: list[Cohort]) -> None:
    random = np.random.default_rng(3)
    found, x = side(*random.normal(size=(2, 60, 30)))
    train = np.arange(40)
    before = choose.best(found, x, 1, cohorts[0], train)
    labels = cohorts[0].labels
    others = cohorts[0].relabelled(np.where(np.arange(60) < 40, labels, 1 - labels))
    assert choose.best(found, x, 1, others, train) == before


def test_a_head_of_some_features_is_one_of_all(cohorts: list[Cohort]) -> None:
    random = np.random.default_rng(5)
    kept = np.arange(12 * math.prod(demo.CELLS)) < 4 * math.prod(demo.CELLS)
    x = random.normal(size=(60, len(kept)))
    fitted = probe.fit(x[:, kept], cohorts[0], 0, 3, 1, cells=math.prod(demo.CELLS)).head
    found = demo.widened(fitted, kept, x, cohorts[0], seed=0)
    np.testing.assert_allclose(found(x), fitted(x[:, kept]), rtol=1e-9)
    assert found.trust is not None
    assert fitted.trust is not None
    np.testing.assert_allclose(
        found.trust.folds.heads(x[0]), fitted.trust.folds.heads(x[0, kept]), rtol=1e-9
    )
    assert found.trust.novelty is not None
    assert 0 < found.trust.novelty.p_value(x[0]) <= 1


def test_two_networks_side_by_side_do_not_mix() -> None:
    one, other = (pretrain.fresh(seed).eval() for seed in (0, 1))
    both = pretrain.side_by_side(one, other)
    volume = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        apart = [encoders.gridded(each, 2, (1, 2, 2))(volume) for each in (one, other)]
        together = encoders.gridded(both, 2, (1, 2, 2))(volume)
    torch.testing.assert_close(together, torch.cat(apart, 1))


def test_the_views_of_a_head_differ_and_only_inside_the_brain() -> None:
    source = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 1, 4, 4, 4, generator=source)  # anatomy is smooth
    crop = functional.interpolate(coarse, (16, 16, 16), mode="trilinear")[0, 0]
    one, two = (local.changed(crop.clone(), source) for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.isfinite(one).all()
    close = torch.corrcoef(torch.stack((one.flatten(), crop.flatten())))[0, 1]
    assert close > 0.3  # the same anatomy still


def batch(count: int = 3, shape: tuple[int, int, int] = (60, 72, 72)) -> ScanBatch:
    random = np.random.default_rng(4)
    volumes = torch.from_numpy(random.normal(100, 20, (count, *shape)).astype(np.float32))
    masks = torch.ones(volumes.shape, dtype=torch.bool)
    return ScanBatch(volumes, masks, torch.full((count,), torch.nan), list(range(count)), 0, 7)


def test_the_loss_is_guessing_at_first_and_has_gradients() -> None:
    recipe = local.LocalSimCLR(pretrain.fresh(0), stage=1)
    loss = recipe.loss(recipe.network, batch(), lambda tensor: tensor)
    loss.value.backward()
    assert 0.2 < float(loss.facts["of_chance"]) < 1.5
    assert recipe.network.get_submodule("encoder.conv1").weight.grad.abs().sum() > 0


def test_crops_without_brain_teach_nothing() -> None:
    recipe = local.LocalSimCLR(pretrain.fresh(0), stage=1)
    empty = batch()
    empty.masks[:] = False
    empty.masks[:, 0, 0, 0] = True
    loss = recipe.loss(recipe.network, empty, lambda tensor: tensor)
    assert loss.value.item() == 0.0


def scans(count: int = 3) -> list[HeldScan]:
    made = batch(count, (48, 64, 64))
    return [
        HeldScan(v.numpy(), m.numpy(), {"digest": str(i)})
        for i, (v, m) in enumerate(zip(made.volumes, made.masks, strict=True))
    ]


def test_an_encoder_that_says_the_same_of_all_heads_has_collapsed() -> None:
    encoder = pretrain.normed(pretrain.fresh(0), scans())
    assert pretrain.variation(encoder, scans()) > 0.0
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert pretrain.variation(encoder, scans()) == 0.0


def test_a_table_of_nobody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tsex\n")
    with pytest.raises(InputError, match="lists no heads"):
        heads.read(tmp_path, tmp_path)


def test_heads_are_read_for_both_tasks(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\nA\t30.5\tM\nB\t40\tF\nC\t50\tF\nD\t60\tM\n"
    )
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    values = np.random.default_rng(6).uniform(0, 100, (6, 8, 7)).astype(np.float32)
    for name in "ABCD":
        nib.save(nib.Nifti1Image(values, affine), tmp_path / f"{name}_T1w.nii.gz")
    aged, sexed = heads.read(tmp_path, tmp_path)
    assert aged.labels.tolist() == [30.5, 40.0, 50.0, 60.0] * 3
    assert sexed.labels.tolist() == [1.0, 0.0, 0.0, 1.0] * 3
    assert aged.rows[0].image == tmp_path / "A_T1w.nii.gz"
    # The copies: the same people, so in the same fold, at 1 mm, in the same place.
    assert aged.subjects == ["A", "B", "C", "D"] * 3
    for train, test in splits.by_subject(aged, 2, seed=0):
        assert not {aged.subjects[i] for i in train} & {aged.subjects[i] for i in test}
    fine = nib.load(aged.rows[4].image)
    assert fine.header.get_zooms() == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(fine.get_fdata()[::2, ::2, ::2], values, rtol=1e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_a_turned_copy_shows_the_same_head_in_the_same_place(number: int) -> None:
    z, y, x = np.meshgrid(*(np.arange(20.0),) * 3, indexing="ij")
    ball = np.exp(-((z - 9) ** 2 + (y - 11) ** 2 + (x - 8) ** 2) / 18).astype(np.float32)
    head = nib.Nifti1Image(ball, np.diag([-2.0, 2.0, 2.0, 1.0]))
    copy = heads.turned(head, number)
    np.testing.assert_allclose(np.linalg.norm(copy.affine[:3, :3], axis=0), 1.0)
    off = np.degrees(np.arccos(np.abs(copy.affine[:3, :3]).max(axis=0)))
    assert 0.0 < off.max() < 12.5
    values = copy.get_fdata()
    peak = np.stack(np.nonzero(values > 0.9 * values.max())).mean(axis=1)
    np.testing.assert_allclose((copy.affine @ [*peak, 1.0])[:3], [-18.0, 22.0, 16.0], atol=0.5)
    assert values.min() >= 0.0


def test_copies_teach_a_head_what_resolution_does() -> None:
    random = np.random.default_rng(7)
    rows = [Row(f"s{i}", Path(f"s{i}.nii"), None, 0.0, None, i) for i in range(60)]
    aged = Cohort(Path("made"), AGE, rows).relabelled(np.random.default_rng(0).uniform(20, 80, 60))
    direction = np.eye(30)[0]  # of blur, along which age lies too
    x = random.normal(size=(60, 30))
    x[:, 0] += aged.labels / 20.0
    x[:, 1] += aged.labels / 20.0
    blurred = x + 3.0 * direction
    both = Cohort(aged.path, aged.task, [*aged.rows] * 2).relabelled([*aged.labels] * 2)
    alone, _ = probe.fit_affine(x, aged)
    taught, _ = probe.fit_affine(np.concatenate((x, blurred)), both)
    assert abs(alone @ direction) > 3.0 * abs(taught @ direction)


@pytest.mark.slow
def test_heads_of_nobody_are_made_once_and_are_of_no_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cohorts: list[Cohort]
) -> None:
    monkeypatch.setattr(synthetic, "COUNT", 2)
    first = synthetic.heads(tmp_path, 0)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    again = synthetic.heads(tmp_path, 0)
    assert [entry.facts["digest"] for entry in again] == [e.facts["digest"] for e in first]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert len(first) == 2
    assert first[0].volume.shape == space.CROP_SHAPE
    seen = overlap(demo.NOBODY, cohorts[0], [first[0]] * 60)
    assert (seen.images, seen.labels, seen.complete) == (0, 0, True)
