"""What harmonising does to an embedding: of each known site a scale and a shift per feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Affine = tuple[Array, Array]
"""(F,) scale and (F,) shift."""


@dataclass(frozen=True)
class SiteMaps:
    """scale x + shift of each known site; an embedding of another one stays as it is.

    Attributes:
        affine: by the site's name.
    """

    affine: Mapping[str, Affine]

    def __call__(self, x: Array, sites: Sequence[str]) -> Array:
        """(N, F) embeddings of (N,) sites -> (N, F) harmonised ones."""
        own, found = np.asarray(sites), np.array(x)
        for name, (scale, shift) in self.affine.items():
            here = own == name
            found[here] = scale * found[here] + shift
        return found

    def folded(self, weight: Array, bias: Any, site: str) -> tuple[Array, Any]:
        """The (..., F) weight and bias of a site's own embeddings that say the same as those given.

        Args:
            weight: (F,) of harmonised embeddings; (K, F).
            bias: of it; (K,), or steps that share the weight.
            site: a known one.
        """
        scale, shift = self.affine[site]
        return weight * scale, bias + weight @ shift

    def to_dict(self) -> dict[str, Any]:
        """Plain data, of seven digits: of many features, half the file."""
        return {
            name: {"scale": _stored(scale), "shift": _stored(shift)}
            for name, (scale, shift) in self.affine.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SiteMaps:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        found: dict[str, Affine] = {}
        for name, one in data.items():
            scale, shift = (np.array(one[key], dtype=np.float64) for key in ("scale", "shift"))
            fine = scale.ndim == 1 and scale.shape == shift.shape and bool((scale > 0).all())
            if not fine or not np.isfinite([scale, shift]).all():
                raise ValueError(f"the harmonisation of site {name} is no scale and shift")
            found[str(name)] = scale, shift
        return cls(found)


def _stored(values: Array) -> list[float]:
    return [float(f"{value:.7g}") for value in values]


class Views(Sequence[Array]):
    """The embeddings as each of K folds sees them, (N, F) each; made when they are asked for.

    Args:
        x: (N, F).
        sites: (N,).
        maps: of each fold, estimated on its training part.
    """

    def __init__(self, x: Array, sites: Sequence[str], maps: Sequence[SiteMaps]) -> None:
        self._x, self._sites, self.maps = x, sites, maps

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, k: Any) -> Any:
        """(N, F) of fold k."""
        return self.maps[k](self._x, self._sites)


@dataclass(frozen=True)
class Harmonised:
    """What a head on harmonised embeddings keeps of the sites.

    Attributes:
        whole: the maps that the head was fitted with.
        folds: those of the heads of its cross-validation, see `runtime.trust.folds`.
    """

    whole: SiteMaps
    folds: Sequence[SiteMaps]

    def fits(self, features: int, folds: int) -> bool:
        """Whether each of so many folds has all sites' maps, of so many features."""
        every = [self.whole, *self.folds]
        known = all(one.affine.keys() == self.whole.affine.keys() for one in every)
        alike = all(len(a) == features for one in every for a, _ in one.affine.values())
        return known and alike and len(self.folds) == folds

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"whole": self.whole.to_dict(), "folds": [one.to_dict() for one in self.folds]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Harmonised:
        """The inverse of `to_dict`; raises what `SiteMaps.from_dict` does."""
        folds = [SiteMaps.from_dict(one) for one in data["folds"]]
        return cls(SiteMaps.from_dict(data["whole"]), folds)
