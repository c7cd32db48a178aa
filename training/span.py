"""Training rows in an orthonormal basis of their span: many features cost no more than rows do.

With Z the n standardised training rows of F features, the weights that minimise any loss of Zw with
an L2 penalty lie in the span of the rows: w = Z'u (the representer theorem). With Z Z' = U S^2 U'
and V = Z' U S^-1, whose columns are orthonormal, the model of the n coordinates Z V = U S with
weights v has the same losses and the same penalty as that of Z with weights V v, so fitting v finds
w. Directions with less than 1e-12 of the largest variance are left out: a penalty that is any
noticeable part of the largest variance leaves nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]

_NOISE = 1e-12


@dataclass(frozen=True)
class Span:
    """Standardised training rows, and how others and weights go to their coordinates and back.

    Attributes:
        coordinates: (n, R) of the rows; the standardised features themselves where F <= n.
    """

    coordinates: Array
    _scale: StandardScaler
    _rows: Array  # standardised, (n, F)
    _back: Array | None  # (n, R): V = rows' @ back

    @classmethod
    def of(cls, x: Array, cells: int = 1) -> Self:
        """That of (n, F) training rows; of a gridded encoder, `cells` of each channel.

        A channel's cells have one scale, the root of their mean variance: a cell at the brain's
        rim, where one head in ten reaches, would otherwise count as much as one inside.
        """
        scale = StandardScaler().fit(x)
        if cells > 1:
            variance = scale.var_.reshape(-1, cells).mean(axis=1).repeat(cells)
            scale.scale_ = np.where(variance > 0.0, np.sqrt(variance), 1.0)
        rows = scale.transform(x)
        if rows.shape[1] <= len(rows):
            return cls(rows, scale, rows, None)
        values, vectors = np.linalg.eigh(rows @ rows.T)
        root = np.sqrt(np.where(values > _NOISE * values[-1], values, 0.0))
        back = vectors * np.divide(1.0, root, out=np.zeros_like(root), where=root > 0.0)
        return cls(vectors * root, scale, rows, back)

    def __call__(self, x: Array) -> Array:
        """(m, F) other rows -> (m, R) coordinates; what lies beside the span is left out."""
        rows: Array = self._scale.transform(x)
        return rows if self._back is None else (rows @ self._rows.T) @ self._back

    def weights(self, model: Array, intercept: Array) -> tuple[Array, Array]:
        """Of raw features: (K, R) weights and (K,) intercepts of coordinates -> (K, F) and (K,)."""
        standard = model if self._back is None else (model @ self._back.T) @ self._rows
        weight = standard / self._scale.scale_
        return weight, intercept - weight @ self._scale.mean_
