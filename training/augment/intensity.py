"""Changes of intensity that the masked z-score does not undo, beyond the paper's recipe.

In the order in which a scanner makes them, on a view v inside its mask:

    v <- G_s * v                         blur, a Gaussian of standard deviation s
    v <- v exp(a f / max|f|)             bias field, f = sum of c_ijk cos(i z) cos(j y) cos(k x)
    v <- v + b std(v) n                  noise, n normal with variance one

with z, y, x from 0 to pi over the view and i, j, k from 0 to 2, not all 0. Each is applied with the
same probability; s, a and b are uniform up to their largest, the c uniform in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fmtool.errors import UsageError

_ORDERS = 3
_WAVES = _ORDERS**3


@dataclass(frozen=True)
class Change:
    """What one view is changed with.

    Attributes:
        blur: standard deviation in voxels of the view.
        bias: largest absolute value of the log field.
        waves: the 27 c_ijk, the last index fastest, the first of them not used.
        noise: standard deviation, in standard deviations of the brain.
        seed: of the noise.
    """

    blur: float
    bias: float
    waves: tuple[float, ...]
    noise: float
    seed: int


@dataclass(frozen=True)
class Intensity:
    """Random changes of a view's intensities; a largest size of zero leaves one out.

    Attributes:
        blur: largest standard deviation, in voxels of the view. The zeros outside blur in.
        bias: largest absolute value of the natural log of the field; 0.3 is a strong coil's.
        noise: largest standard deviation, in standard deviations of the brain's intensities.
        probability: of each, independently.

    Raises:
        UsageError: for a size below zero, or a probability that is none.
    """

    blur: float = 0.0
    bias: float = 0.0
    noise: float = 0.0
    probability: float = 0.8

    def __post_init__(self) -> None:
        for name in ("blur", "bias", "noise"):
            size = getattr(self, name)
            if not (size >= 0 and math.isfinite(size)):
                raise UsageError(f"the {name} of views must be zero or more, not {size:g}")
        if not 0 <= self.probability <= 1:
            raise UsageError(
                f"the probability of a change must be between 0 and 1, not {self.probability:g}"
            )

    def __call__(self, view: Tensor, inside: Tensor, generator: Generator) -> Tensor:
        """The view (z, y, x), float32, changed at random; see `apply`."""
        return self.apply(view, inside, self.draw(generator))

    def draw(self, generator: Generator) -> Change:
        """The random numbers of one view; always equally many, whatever is left out."""
        uniform = torch.rand(
            7 + _WAVES, generator=generator, device=generator.device, dtype=torch.float64
        )
        u = uniform.tolist()
        blur, bias, noise = (
            size * u[2 * i + 1] if u[2 * i] < self.probability else 0.0
            for i, size in enumerate((self.blur, self.bias, self.noise))
        )
        waves = tuple(2.0 * c - 1.0 for c in u[7:])
        return Change(blur, bias, waves, noise, seed=int(u[6] * 2**53))

    @staticmethod
    def apply(view: Tensor, inside: Tensor, change: Change) -> Tensor:
        """The changed view, before the z-score; `view` itself may be written over.

        Args:
            view: float32 (z, y, x).
            inside: same shape, one inside the brain and zero outside.
            change: what to do. Equal seeds give equal noise on one kind of device.
        """
        if change.blur:
            view = _blurred(view, change.blur)
        if change.bias:
            view = view.mul_(_field(view, change.bias, change.waves))
        if change.noise:
            source = torch.Generator(view.device).manual_seed(change.seed)
            noise = torch.randn(view.shape, generator=source, device=view.device)
            view = view.add_(noise.mul_(change.noise * _deviation(view, inside)))
        return view


def _along(view: Tensor, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The product of a matrix for each axis with the array (z, y, x)."""
    depth = view.shape[0]
    return (z @ (y @ (view @ x.T)).reshape(depth, -1)).reshape(len(z), len(y), len(x))


def _blurred(view: Tensor, deviation: float) -> Tensor:
    kernels = []
    for n in view.shape:
        at = torch.arange(n, device=view.device, dtype=view.dtype)
        kernel = torch.exp(-0.5 * ((at[:, None] - at) / deviation) ** 2)
        kernels.append(kernel / kernel.sum(1, keepdim=True))  # whole at the edges too
    return _along(view, *kernels)


def _field(view: Tensor, largest: float, waves: tuple[float, ...]) -> Tensor:
    orders = torch.arange(_ORDERS, device=view.device, dtype=view.dtype)
    bases = [
        torch.cos(torch.linspace(0, math.pi, n, device=view.device)[:, None] * orders)
        for n in view.shape
    ]
    coefficients = torch.tensor((0.0, *waves[1:]), device=view.device, dtype=view.dtype)
    log = _along(coefficients.reshape(_ORDERS, _ORDERS, _ORDERS), *bases)
    low, high = log.aminmax()
    return log.mul_(largest / torch.maximum(-low, high)).exp_()


def _deviation(view: Tensor, inside: Tensor) -> Tensor:
    count = inside.sum()
    mean = (view * inside).sum() / count
    return ((view - mean).square_() * inside).sum().div(count).sqrt()
