"""Peak memory of one step of SimCLR training, per batch, precision and recomputation.

No memory is needed to count it: the step runs on fake tensors, which have shapes and no contents,
while every storage that it makes is written down when it appears and struck off when it goes. So
weights, gradients, Adam's state, inputs, what is kept for the backward pass and all temporaries
between operations are in the peak; see `Live`. Not in it: what a library needs
inside one operation (cuDNN's workspaces), the CUDA context, and the allocator's waste. A setting
"fits" a card if its peak leaves a tenth of the card free.

In bfloat16 the count follows CUDA's autocast, which pools in bfloat16; the CPU's pools in float32.
Where there is a CUDA device, each setting is also run there and its peak measured.

    python -m benchmarks.memory [--pairs N] [--json FILE]

prints docs/memory.md's tables.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.shared import script
from fmtool.space import CROP_SHAPE
from training import encoders
from training.fit.settings import Precision
from training.simclr import SimCLRNetwork, nt_xent


class Live(TorchDispatchMode):
    """While entered, every storage that an operation gives is counted until it is freed.

    Works on real tensors and on fake ones, inside a FakeTensorMode. Views share their storage and
    count once. What an operation frees before it returns is not seen.

    Attributes:
        now: bytes alive.
        peak: the most there have been; may be set to start anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(given):
            if isinstance(leaf, Tensor):
                self._add(leaf)
        return given

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


GIB = float(1 << 30)
PAIRS = 6
CARDS = (24, 40)
SPARE = 0.1

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Case:
    """A setting: pairs of views per step, the network's precision, and whether it recomputes."""

    pairs: int
    precision: Precision
    recompute: bool
    shape: Shape = CROP_SHAPE
    width: float = 1.0

    @property
    def name(self) -> str:
        """Such as "bfloat16, recomputed"."""
        return f"{self.precision}, {'recomputed' if self.recompute else 'kept'}"


@dataclass(frozen=True)
class Peak:
    """Bytes.

    Attributes:
        fixed: weights, Adam's state and the batch's inputs, alive throughout.
        kept: what else is alive between the forward and the backward pass.
        peak: the most that is alive at once.
    """

    fixed: int
    kept: int
    peak: int


class _PoolAsCUDA(nn.Module):
    """Max-pooling in the input's precision under any autocast."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            pooled: Tensor = self.pool(x)
        return pooled


class Step:
    """A training step on random views; the first call of `update` also makes Adam's state."""

    def __init__(self, case: Case, device: str = "cpu") -> None:
        with torch.device(device):
            encoder = encoders.build("resnet18", case.width)
            self.network = SimCLRNetwork(encoder, case.recompute).train()
            # A step's batch: the scans, their masks, and two views of each.
            self.scans = torch.zeros(case.pairs, *case.shape)
            self.masks = torch.zeros(case.pairs, *case.shape, dtype=torch.bool)
            self.views = torch.randn(2 * case.pairs, 1, *case.shape)
        if device == "cpu":
            encoder.maxpool = _PoolAsCUDA(encoder.get_submodule("maxpool"))
        self.solver = torch.optim.Adam(self.network.parameters(), lr=3e-4)
        self.device, self.bf16 = device, case.precision == "bfloat16"

    def forward(self) -> Tensor:
        """The loss."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16):
            _, projections = self.network(self.views)
        z1, z2 = projections.float().chunk(2)
        return nt_xent(z1, z2)

    def update(self) -> None:
        """A whole step."""
        loss = self.forward()
        self.solver.zero_grad()
        loss.backward()
        self.solver.step()


@cache
def count(case: Case, fake: bool = True) -> Peak:
    """The bytes of a step in steady state, the second one; `fake` needs none of them."""
    if fake:
        with FakeTensorMode():
            return count(case, fake=False)
    with Live() as live:
        step = Step(case)
        step.update()
        step.solver.zero_grad()
        fixed = live.now
        loss = step.forward()
        kept = live.now - fixed
        del loss
        live.peak = live.now
        step.update()
        return Peak(fixed, kept, live.peak)


def largest(case: Case, gib: float) -> int:
    """The most pairs whose peak leaves `SPARE` of a card free; 0 if two, the fewest, do not."""
    room = gib * GIB * (1.0 - SPARE)
    over = 2
    while count(replace(case, pairs=over)).peak <= room:
        over *= 2
    under = over // 2
    while over - under > 1 and under > 1:
        middle = (under + over) // 2
        if count(replace(case, pairs=middle)).peak <= room:
            under = middle
        else:
            over = middle
    return under if under > 1 else 0


def measured(case: Case) -> int | None:
    """The peak of the same on the CUDA device by its allocator, or None where it does not fit."""
    torch.cuda.empty_cache()
    try:
        step = Step(case, "cuda")
        step.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        step.update()
        torch.cuda.reset_peak_memory_stats()
        step.update()
    except torch.cuda.OutOfMemoryError:
        return None
    return torch.cuda.max_memory_allocated()


def rows(pairs: int = PAIRS) -> Iterator[dict[str, Any]]:
    """A row per precision and recomputation: `pairs` counted, and what cards take, in GiB."""
    settings: tuple[Precision, ...] = ("float32", "bfloat16")
    for precision, recompute in product(settings, (False, True)):
        case = Case(pairs, precision, recompute)
        found = count(case)
        row: dict[str, Any] = {"setting": case.name, "pairs": pairs}
        row |= {"fixed": found.fixed / GIB, "kept": found.kept / GIB, "peak": found.peak / GIB}
        for card in CARDS:
            row[f"fits {card} GB"] = found.peak <= card * GIB * (1.0 - SPARE)
            row[f"pairs in {card} GB"] = largest(case, card)
        if torch.cuda.is_available():
            peak = measured(case)
            row["measured"] = None if peak is None else peak / GIB
        yield row


def markdown(found: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    return script.markdown([*found[0]], [[*map(_cell, row.values())] for row in found])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Count, print, and write JSON."""
    args = script.options(__doc__, pairs=PAIRS, json=Path)
    found = list(rows(args.pairs))
    print(markdown(found))
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    print(f"\nGiB; torch {torch.__version__}; " + (card or "not yet run on a GPU"))
    content = {"torch": torch.__version__, "device": card, "spare": SPARE, "rows": found}
    script.keep(content, args.json)


if __name__ == "__main__":
    main()
