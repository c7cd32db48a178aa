"""ComBat: what a site does to each feature of an embedding, with little trust in a small site.

With x_ij a feature of scan j of site i, c_ij its covariates around their mean, sigma the feature's
residual deviation over all sites:

    x_ij = alpha + c_ij beta + sigma (gamma_i + delta_i e_ij)            e_ij of mean 0, variance 1

alpha and beta by least squares, with alpha the mean over all scans. gamma_i and delta_i^2 have a
prior over the features of a site, normal and inverse gamma, whose parameters are those that the
features' own estimates suggest; gamma*_i and delta*_i are the posterior means (parametric empirical
Bayes: Johnson, Li and Rabinovic, Biostatistics 2007, 8:118; of brain images Fortin et al.,
NeuroImage 2018, 167:104).

ComBat itself takes sigma gamma*_i from x - c beta - alpha and divides the rest by delta*_i, which
needs the covariates of every scan that is harmonised. A scan that is to be answered has none. What
is kept of a site is therefore the same with the covariates at their mean,

    h_i(x) = alpha + (x - alpha - sigma gamma*_i) / delta*_i = scale_i x + shift_i

The two differ by c beta (1 - 1 / delta*_i): nothing of what a site adds, but what the covariates
explain, the label among them, is divided by delta*_i as the rest is. That is right of a site that
stretches all of a feature, and wrong of one that adds noise alone: which it is, a scan of unknown
label does not tell, and the figures beside the unharmonised head's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError

Array = NDArray[np.float64]

_STEADY = 1e-10  # the largest change of the last step, of numbers around 1
_MOST_STEPS = 10_000
_NOISE = 1e-12  # of a feature's mean square: what varies less is rounding
_FEWEST_FEATURES = 2  # that vary; a prior over features needs as many


@dataclass(frozen=True)
class Estimate:
    """What ComBat found; of a feature that does not vary, nothing: 0 and 1.

    Attributes:
        sites: S names.
        varies: (F,) which features vary within sites.
        centre: (C,) the covariates' means.
        alpha: (F,) the features' means over all scans.
        beta: (C, F) per unit of each covariate.
        sigma: (F,) the features' residual deviations.
        gamma: (S, F) gamma*, what a site adds, in sigma.
        delta: (S, F) delta*, what a site's residuals are multiplied by.
    """

    sites: tuple[str, ...]
    varies: NDArray[np.bool_]
    centre: Array
    alpha: Array
    beta: Array
    sigma: Array
    gamma: Array
    delta: Array

    def affine(self, site: str) -> tuple[Array, Array]:
        """(F,) scale and (F,) shift that take a site's effect from an embedding; see the module."""
        i = self.sites.index(site)
        return self._affine(self.gamma[i], self.delta[i])

    def affine_of(self, site: str, x: Array, covariates: Array) -> tuple[Array, Array]:
        """The same for a site that was not among those estimated, from some of its scans.

        Args:
            site: its name.
            x: (n, F) embeddings; two scans or more.
            covariates: (n, C); their means where they are not known.
        """
        gamma, delta = _site(site, self._standard(x, covariates), self.varies)
        return self._affine(gamma, delta)

    def _standard(self, x: Array, covariates: Array) -> Array:
        """(n, F) of the features that vary, without what the covariates explain, in sigma."""
        off = x - self.alpha - (covariates - self.centre) @ self.beta
        return np.asarray(off[:, self.varies] / self.sigma[self.varies])

    def _affine(self, gamma: Array, delta: Array) -> tuple[Array, Array]:
        scale = 1.0 / delta
        return scale, self.alpha - scale * (self.alpha + self.sigma * gamma)


def estimate(x: Array, sites: Sequence[str], covariates: Array) -> Estimate:
    """Estimate the sites' effects.

    Args:
        x: (N, F) embeddings.
        sites: (N,) of each; two scans or more of each site.
        covariates: (N, C), numbers whose effect is kept; C may be 0.

    Raises:
        InputError: if covariates and sites cannot be told apart, or features do not vary.
    """
    names, own = np.unique(np.asarray(sites), return_inverse=True)
    centre = np.asarray(covariates.mean(axis=0))
    design = np.c_[np.eye(len(names))[own], covariates - centre]
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError(
            "sites and covariates cannot be told apart: within every site a covariate is the same, "
            "or follows from the others; leave it out, or do not harmonise"
        )
    coefficients = np.asarray(np.linalg.lstsq(design, x, rcond=None)[0], dtype=np.float64)
    count = np.bincount(own).astype(np.float64)
    alpha, beta = (count / len(x)) @ coefficients[: len(names)], coefficients[len(names) :]
    variance = np.square(x - design @ coefficients).mean(axis=0)
    varies = variance > _NOISE * np.square(x).mean(axis=0)
    if varies.sum() < _FEWEST_FEATURES:
        raise InputError(
            f"{varies.sum()} of {x.shape[1]} features vary within sites: nothing to harmonise"
        )
    shape = len(names), x.shape[1]
    found = Estimate(
        tuple(names.tolist()),
        varies,
        centre,
        alpha,
        beta,
        np.asarray(np.sqrt(variance), dtype=np.float64),
        np.zeros(shape),
        np.ones(shape),
    )
    z = found._standard(x, covariates)
    for i, name in enumerate(found.sites):
        found.gamma[i], found.delta[i] = _site(name, z[own == i], varies)
    return found


def _site(name: str, z: Array, varies: NDArray[np.bool_]) -> tuple[Array, Array]:
    """(F,) gamma* and (F,) delta* of a site's standardised scans."""
    gamma, delta = np.zeros(len(varies)), np.ones(len(varies))
    gamma[varies], squared = _posterior(z, name)
    delta[varies] = np.sqrt(squared)
    return gamma, delta


def _posterior(z: Array, site: str) -> tuple[Array, Array]:
    """(F,) gamma* and (F,) delta*^2 of one site's standardised scans, (n, F)."""
    count = len(z)
    mean, variance = z.mean(axis=0), z.var(axis=0, ddof=1)
    centre, spread = mean.mean(), mean.var(ddof=1)
    usual, unlike = variance.mean(), variance.var(ddof=1)
    if not usual > 0.0:
        raise InputError(f"all scans of site {site} have the same embedding: nothing to harmonise")
    # The inverse gamma has shape 2 + usual^2 / unlike and scale usual (shape - 1); multiplied out
    # by `unlike`, which is 0 where all features vary alike.
    gamma, delta = mean, variance
    for _ in range(_MOST_STEPS):
        before = np.stack([gamma, delta])
        gamma = (count * spread * mean + delta * centre) / (count * spread + delta)
        off = (count - 1) * variance + count * np.square(mean - gamma)
        delta = (unlike * (off / 2 + usual) + usual**3) / (unlike * (count / 2 + 1) + usual**2)
        if np.abs(before - [gamma, delta]).max() < _STEADY:
            return gamma, delta
    raise InputError(f"ComBat finds no steady estimate of site {site}; leave its scans out")
