"""Several classes: figures by their definitions, calibration, sets that cover, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from fmtool import task
from fmtool.errors import InputError
from runtime.answer import answer
from runtime.trust import Trust
from runtime.trust.multiclass import Softmax, log_softmax
from training import evidence, probe
from training.cohort import Cohort, Row
from training.cohort.split_make import make, typical
from training.evidence import multiclass, out_of_fold, plot, probabilities, splits, trust

NAMES = ("CN", "MCI", "AD")
PEOPLE = 60


def cohort(labels, subjects=None):
    names = subjects or [f"s{i}" for i in range(len(labels))]
    pairs = enumerate(zip(names, labels, strict=True))
    made = [Row(s, Path(f"{i}.nii"), None, float(y), None, i + 2) for i, (s, y) in pairs]
    return Cohort(Path("t.csv"), task.DIAGNOSIS, made)


def logits(labels, signal=1.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(labels), 3)) + signal * np.eye(3)[labels]


def embeddings(labels, seed, signal=1.2, features=8):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(labels), features))
    x[:, 0] += signal * labels
    x[:, 1] += signal * (labels == 1)
    return x


def test_the_figures_are_those_of_their_definitions():
    y = np.arange(PEOPLE) % 3
    z, people = logits(y), cohort(y)
    found = evidence.against_constant(people, z[None], np.zeros((1, PEOPLE)))
    p = np.exp(log_softmax(z))
    assert found["metric"] == "macro AUC"
    assert found["value"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr"))
    told = z.argmax(axis=1)
    assert found["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(y, told))
    assert found["confusion"] == pytest.approx(confusion_matrix(y, told, normalize="true"))
    assert [found["recall"][n]["value"] for n in NAMES] == pytest.approx(
        np.diag(found["confusion"])
    )
    assert found["balanced_accuracy"]["majority"] == pytest.approx(1 / 3)
    assert found["accuracy"]["majority"] == pytest.approx(1 / 3)
    assert found["beats_baseline"] is True
    low, high = found["interval"]
    assert 0.5 < low < found["value"] < high <= 1.0


def test_an_auc_counts_within_folds_and_every_subject_once():
    y = np.arange(PEOPLE) % 3
    z, fold = logits(y, 0.0), np.repeat([[0, 1]], PEOPLE // 2, axis=0).T.ravel()[None]
    shifted = z + 100.0 * fold[0][:, None] * np.array([1.0, 0.0, 0.0])
    within = evidence.figure(cohort(y), shifted[None], fold)
    assert within == pytest.approx(
        np.mean(
            [
                roc_auc_score(
                    y[fold[0] == k], np.exp(log_softmax(shifted[fold[0] == k])), multi_class="ovr"
                )
                for k in (0, 1)
            ]
        ),
        abs=0.02,
    )
    twice = cohort(np.r_[y, y[:3]], [f"s{i}" for i in [*range(PEOPLE), 0, 1, 2]])
    double = np.concatenate([z, z[:3]])
    assert evidence.figure(twice, double[None]) == pytest.approx(
        evidence.figure(cohort(y), z[None])
    )


def test_noise_does_not_beat_chance_and_a_perfect_head_is_sure_within_its_width():
    y = np.arange(PEOPLE) % 3
    noise = evidence.against_constant(cohort(y), logits(y, 0.0)[None], np.zeros((1, PEOPLE)))
    assert noise["beats_baseline"] is False
    sure = evidence.against_constant(cohort(y), logits(y, 50.0)[None], np.zeros((1, PEOPLE)))
    assert sure["value"] == 1.0
    assert sure["interval"][0] < 1.0
    low, high = sure["balanced_accuracy"]["interval"]
    assert low < high == 1.0


def test_probabilities_are_calibrated_and_noise_gives_the_shares():
    y = np.repeat([0, 1, 2], [90, 60, 30])
    found = probabilities.fit(3.0 * logits(y, 2.0, 1), cohort(y))
    shares = found(3.0 * logits(y, 2.0, 1)).mean(axis=0)
    assert shares == pytest.approx(np.array([90, 60, 30]) / 180, abs=0.02)
    assert found.slope < 1.0  # three times too sure
    wrong = probabilities.fit(-logits(y, 2.0), cohort(y))
    assert wrong.slope == 0.0
    assert wrong([5.0, 0.0, 0.0]) == pytest.approx(np.array([91, 61, 31]) / 183, abs=1e-2)
    assert Softmax.from_dict(found.to_dict())([1, 2, 3]) == pytest.approx(found([1, 2, 3]))


@pytest.fixture(scope="module")
def fitted():
    y = np.arange(PEOPLE) % 3
    volumes = (1200 - 40 * y + np.random.default_rng(5).normal(size=PEOPLE)).tolist()
    return probe.fit(embeddings(y, 0), cohort(y), folds=3, repeats=1, brain_volume_ml=volumes)


def test_trust_is_read_as_it_was_kept_and_belongs_to_its_classes(fitted):
    y, head = np.arange(PEOPLE) % 3, fitted.head
    read = Trust.from_dict(head.trust.to_dict())
    e = embeddings(y, 1)[0]
    assert answer(task.DIAGNOSIS, head(e), {}, e, read) == answer(
        task.DIAGNOSIS, head(e), {}, e, head.trust
    )
    wrong = head.trust.to_dict() | {"probabilities": {"slope": 1.0, "offsets": [0.0, 0.0]}}
    with pytest.raises(ValueError, match="of other classes than its heads"):
        Trust.from_dict(wrong)


def test_a_probe_says_what_brain_volume_and_the_largest_class_reach_and_its_table_is_whole(
    fitted, tmp_path
):
    found, told = fitted, fitted.head.evidence
    assert told["brain_volume"]["value"] > 0.8
    assert told["brain_volume"]["head_is_better"] is False
    assert found.predictions.shape == (1, PEOPLE, 3)
    assert {row["truth"] for row in found.rows} == set(NAMES)
    assert {row["predicted_by_brain_volume"] for row in found.rows} <= set(NAMES)
    row = found.rows[0]
    assert sum(row[f"probability_{name}"] for name in NAMES) == pytest.approx(1.0)
    out_of_fold.write(tmp_path / "t.csv", found.rows, task.DIAGNOSIS)
    assert "probability_MCI" in (tmp_path / "t.csv").read_text().splitlines()[0]
    pytest.importorskip("matplotlib")
    drawn = plot.draw(tmp_path / "h.json", found.rows, task.DIAGNOSIS, told)
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_too_few_of_a_class_are_refused_by_its_name():
    y = np.repeat([0, 1, 2], [20, 20, 4])
    with pytest.raises(InputError, match="4 subjects of class AD are too few"):
        probe.fit(embeddings(y, 0), cohort(y))
    with pytest.raises(InputError, match="4 subjects of class AD are too few for 5 folds"):
        splits.by_subject(cohort(y), 5, 0)


def test_parts_have_each_class_and_a_converter_is_of_the_class_of_most_scans(tmp_path):
    y = np.repeat([0, 1, 2], [60, 30, 10])
    (tmp_path / "t.csv").write_text("made")
    people = cohort(y)
    parted = make(Cohort(tmp_path / "t.csv", task.DIAGNOSIS, people.rows), subsets=[0.5])
    of = {row.subject: row.label for row in people.rows}
    for part, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        counts = [sum(of[s] == c for s in parted.subjects[part]) for c in (0, 1, 2)]
        assert counts == pytest.approx([60 * share, 30 * share, 10 * share], abs=1.01)
    assert typical([0.0, 2.0, 2.0], task.DIAGNOSIS) == 2.0  # whose mean is nearer to MCI
    assert typical([0.0, 2.0], task.DIAGNOSIS) == 2.0


def test_folds_keep_the_classes_proportions():
    y = np.repeat([0, 1, 2], [30, 20, 10])
    for _, test in splits.by_subject(cohort(y), 5, 0):
        assert [int((y[test] == c).sum()) for c in (0, 1, 2)] == [6, 4, 2]


def covered(repeats, counts):
    """(3,): the share of each class's new scans whose set holds their class."""
    hits, y, new = np.zeros(3), np.repeat([0, 1, 2], counts), np.arange(150) % 3
    for r in range(repeats):
        x, people = embeddings(y, 2 * r), cohort(y)
        plan = splits.by_subject(people, 5, r)
        fits = [LogisticRegression(C=1.0).fit(x[train], y[train]) for train, _ in plan]
        heads = [(fit.coef_, fit.intercept_) for fit in fits]
        limits, _ = trust.cross(x, people, plan, heads, np.empty(0), probe.fit_affine, 0)
        assert limits.by_class
        for e, c in zip(embeddings(new, 2 * r + 1), new, strict=True):
            said = answer(task.DIAGNOSIS, np.zeros(3), {}, e, limits)
            hits[c] += NAMES[c] in said.members
    return hits / (50 * repeats)


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(49, 49, 49), (99, 49, 29)])  # (n + 1) * 0.1 is whole
def test_sets_cover_in_each_class_over_repeats(counts):
    shares = covered(100, counts)
    assert (shares > 0.88).all(), shares
    assert (shares < 0.92).all(), shares


def test_the_macro_aucs_influences_are_its_derivatives():
    y = np.arange(12) % 3
    z = logits(y, 1.0)[None]
    value, influence = multiclass.macro_auc(cohort(y), z, None)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)
    assert 0.5 < value < 1.0
