"""ComBat against the equations of its paper, written out feature by feature."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool.errors import InputError
from training.harmonise import combat

FEATURES = 12


def drawn(seed=0, counts=(9, 14, 4)):
    """Sites that add and stretch, and an age that moves every feature."""
    rng = np.random.default_rng(seed)
    sites = np.repeat(list("ABC")[: len(counts)], counts)
    which = np.unique(sites, return_inverse=True)[1]
    age = rng.uniform(20, 80, len(sites)) + 5 * which
    added = rng.normal(size=(len(counts), FEATURES)) * 2
    stretched = np.exp(0.4 * rng.normal(size=(len(counts), 1)))
    x = 3 + 0.05 * age[:, None] * rng.normal(size=FEATURES) + added[which]
    return x + stretched[which] * rng.normal(size=(len(sites), FEATURES)), sites, age[:, None]


def slow(x, sites, covariates):
    """Fortin et al. 2018, section 2.6: harmonised scans, covariates of each known."""
    names, n = sorted(set(sites)), len(x)
    c = covariates - covariates.mean(axis=0)
    dummies = np.array([[1.0 if s == name else 0.0 for name in names] for s in sites])
    design = np.hstack([dummies, c])
    z, stand, sigma = np.empty_like(x), np.empty_like(x), np.empty(x.shape[1])
    for v in range(x.shape[1]):
        b = np.linalg.solve(design.T @ design, design.T @ x[:, v])
        alpha = sum(b[i] * list(sites).count(name) / n for i, name in enumerate(names))
        sigma[v] = np.sqrt(sum((x[:, v] - design @ b) ** 2) / n)
        stand[:, v] = alpha + c @ b[len(names) :]
        z[:, v] = (x[:, v] - stand[:, v]) / sigma[v]
    out, gammas, deltas = np.empty_like(x), [], []
    for name in names:
        rows = [j for j in range(n) if sites[j] == name]
        m = len(rows)
        gamma_hat = [np.mean(z[rows, v]) for v in range(x.shape[1])]
        delta_hat = [np.var(z[rows, v], ddof=1) for v in range(x.shape[1])]
        bar, tau2 = np.mean(gamma_hat), np.var(gamma_hat, ddof=1)
        mean, var = np.mean(delta_hat), np.var(delta_hat, ddof=1)
        lam, theta = (mean**2 + 2 * var) / var, (mean**3 + mean * var) / var
        gamma, delta = [], []
        for v in range(x.shape[1]):
            g, d2 = gamma_hat[v], delta_hat[v]
            for _ in range(500):
                g = (m * tau2 * gamma_hat[v] + d2 * bar) / (m * tau2 + d2)
                d2 = (theta + 0.5 * sum((z[rows, v] - g) ** 2)) / (m / 2 + lam - 1)
            gamma.append(g)
            delta.append(np.sqrt(d2))
            out[rows, v] = sigma[v] / delta[v] * (z[rows, v] - g) + stand[rows, v]
        gammas.append(gamma)
        deltas.append(delta)
    return out, np.array(gammas), np.array(deltas)


@pytest.mark.parametrize("seed", [0, 1])
def test_estimates_and_scans_are_those_of_the_paper(seed):
    x, sites, age = drawn(seed)
    expected, gamma, delta = slow(x, sites, age)
    found = combat.estimate(x, sites, age)
    assert found.sites == ("A", "B", "C")
    np.testing.assert_allclose(found.gamma, gamma, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.delta, delta, rtol=1e-7)
    # A site's map is ComBat with the covariates at their mean: it lacks their own part's stretch.
    for i, name in enumerate(found.sites):
        own = sites == name
        scale, shift = found.affine(name)
        moved = (age[own] - age.mean(axis=0)) @ found.beta * (1 - 1 / delta[i])
        np.testing.assert_allclose(scale * x[own] + shift + moved, expected[own], atol=1e-7)


def test_without_covariates_the_map_is_combat():
    x, sites, age = drawn()
    nothing = age[:, :0]
    expected, _, _ = slow(x, sites, nothing)
    found = combat.estimate(x, sites, nothing)
    for name in found.sites:
        scale, shift = found.affine(name)
        np.testing.assert_allclose(scale * x[sites == name] + shift, expected[sites == name])


def test_a_small_sites_estimate_is_drawn_to_what_its_features_have_in_common():
    x, sites, age = drawn(counts=(40, 40, 3))
    found = combat.estimate(x, sites, age)
    small = sites == "C"
    z = (x - found.alpha - (age - found.centre) @ found.beta)[small] / found.sigma
    assert found.gamma[2].std() < z.mean(axis=0).std()
    assert found.delta[2].std() < 0.5 * z.std(axis=0, ddof=1).std()


def test_a_new_sites_map_is_its_own_posterior_under_the_others_scale():
    x, sites, age = drawn(counts=(60, 60, 60))
    others = sites != "C"
    found = combat.estimate(x[others], sites[others], age[others])
    scale, shift = found.affine_of("C", x[~others], age[~others])
    harmonised = scale * x[~others] + shift
    explained = (age[~others] - found.centre) @ found.beta
    off = np.abs((harmonised - explained / 1.0 - found.alpha).mean(axis=0)) / found.sigma
    assert (
        off.max() < 0.5 < np.abs((x[~others] - explained - found.alpha).mean(0) / found.sigma).max()
    )


def test_a_silent_feature_stays_as_it_is():
    x, sites, age = drawn()
    x[:, 4] = 7.0
    found = combat.estimate(x, sites, age)
    for name in found.sites:
        scale, shift = found.affine(name)
        assert (scale[4], shift[4]) == pytest.approx((1.0, 0.0))


def test_what_cannot_be_told_apart_is_refused():
    x, sites, age = drawn()
    by_site = (sites == "A").astype(float)[:, None]
    with pytest.raises(InputError, match="cannot be told apart"):
        combat.estimate(x, sites, by_site)
    with pytest.raises(InputError, match="1 of 12 features vary"):
        combat.estimate(np.where(np.arange(FEATURES) == 2, x, 1.0), sites, age)
    x[sites == "C"] = x[sites == "C"][:1]
    with pytest.raises(InputError, match="all scans of site C have the same embedding"):
        combat.estimate(x, sites, age[:, :0])
