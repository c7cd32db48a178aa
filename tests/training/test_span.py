"""The probe in the span of its rows against the same penalised models fitted directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from fmtool.task import AGE, SEX
from training import probe
from training.cohort import Cohort, Row
from training.evidence import splits
from training.span import Span

ROWS = 40


def cohort(y, task):
    rows = [Row(f"s{i}", Path(f"{i}.nii"), None, float(v), None, i + 2) for i, v in enumerate(y)]
    return Cohort(Path("t.csv"), task, rows)


def made(features, task, seed=0):
    """A few directions that tell the label, among many features far from zero."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(ROWS, 6))
    x = hidden @ rng.normal(size=(6, features)) + rng.normal(size=(ROWS, features)) + 30.0
    y = hidden[:, 0] + 0.5 * rng.normal(size=ROWS)
    return x, cohort(50 + 10 * y if task is AGE else y > 0, task)


def directly(x, drawn):
    """Scikit-learn's search over its own pipeline, in all features."""
    grid = np.logspace(-3, 3, 7)
    if drawn.task is AGE:
        model, scoring = Ridge(), "neg_mean_squared_error"
        over = {"model__alpha": x.shape[1] * grid}
    else:
        model = LogisticRegression(solver="newton-cholesky", tol=1e-10)
        scoring = "neg_log_loss"
        over = {"model__C": grid / x.shape[1]}
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", model)]),
        over,
        scoring=scoring,
        cv=splits.by_subject(drawn, 3, seed=0),
    )
    return search.fit(x, drawn.labels).best_estimator_


@pytest.mark.parametrize("task", [AGE, SEX])
@pytest.mark.parametrize("features", [5, 300])
def test_the_head_is_that_of_the_direct_fit(features, task):
    x, drawn = made(features, task)
    weight, bias = probe.fit_affine(x, drawn)
    wanted = directly(x, drawn)
    new = made(features, task, seed=1)[0]
    values = wanted.predict(new) if task is AGE else wanted.decision_function(new)
    np.testing.assert_allclose(new @ weight + bias, values, rtol=1e-6, atol=1e-6)
    direct = np.ravel(wanted["model"].coef_) / wanted["scale"].scale_
    np.testing.assert_allclose(weight, direct, atol=1e-6 * np.abs(direct).max())


def test_coordinates_keep_lengths_and_angles_and_weights_find_back():
    x = made(300, AGE)[0]
    x[:, 7] = 3.0  # a feature that never varies
    x[1] = x[0]  # a scan twice
    span = Span.of(x)
    rows = StandardScaler().fit_transform(x)
    assert span.coordinates.shape == (ROWS, ROWS)
    np.testing.assert_allclose(span.coordinates @ span.coordinates.T, rows @ rows.T, atol=1e-8)
    np.testing.assert_allclose(span(x), span.coordinates, atol=1e-8)
    model = np.random.default_rng(0).normal(size=(2, ROWS))
    weight, bias = span.weights(model, np.array([1.0, 2.0]))
    assert weight.shape == (2, 300)
    np.testing.assert_allclose(
        x @ weight.T + bias, span.coordinates @ model.T + [1.0, 2.0], atol=1e-8
    )


def test_embeddings_that_are_all_the_same_give_the_mean():
    drawn = made(300, AGE)[1]
    weight, bias = probe.fit_affine(np.ones((ROWS, 300)), drawn)
    assert not weight.any()
    assert bias == pytest.approx(drawn.labels.mean())


def test_a_channels_cells_have_one_scale():
    rows = (
        np.random.default_rng(5).normal(size=(20, 4, 15))
        * np.array([1.0, 1.0, 1.0, 1e-3])[None, :, None]
    )
    rows[:, :, 0] *= 1e-2  # a cell at the rim
    x = rows.reshape(20, 60)
    alone, together = Span.of(x), Span.of(x, cells=15)

    def inner(span: Span) -> np.ndarray:
        return span.coordinates @ span.coordinates.T

    channels = (x - x.mean(0)).reshape(20, 4, 15)
    scale = np.sqrt(channels.var(0).mean(1))[None, :, None]
    expected = (channels / scale).reshape(20, 60)
    np.testing.assert_allclose(inner(together), expected @ expected.T, rtol=1e-9)
    assert not np.allclose(inner(alone), inner(together))
    weight, _ = together.weights(np.ones((1, together.coordinates.shape[1])), np.zeros(1))
    np.testing.assert_allclose(
        (x - x.mean(0)) @ weight[0], together.coordinates.sum(1), rtol=1e-6, atol=1e-9
    )
