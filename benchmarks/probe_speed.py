"""A linear probe on embeddings computed once, against a loop that runs the encoder every epoch.

The reference is how 3D-Neuro-SimCLR (arXiv 2509.10620) probes: a frozen encoder and a linear layer
in one loop; every epoch forwards each training scan in batches of 6, and each validation scan, and
Adam (1e-4) moves the linear layer. Here each scan is forwarded once; a linear model is fitted on
the embeddings, its regularisation chosen by cross-validation; the same scans again need none.

* `passes`: scans through the encoder, counted by a hook on it; of the reference per epoch, times
  `epochs`.
* seconds: of the reference, the mean of the epochs that are run, times `epochs`, with the fastest
  and slowest epoch beside it; of ours, embedding and fitting `probe.fit_affine`, for the first time
  and with the embeddings cached; and of `probe.fit`, the 25 cross-validated fits that make the
  evidence, which the reference does not have.

Embedding takes one scan at a time, the reference six: on tiny maps, of narrow networks, a pass of
one costs torch nearly as much as a pass of several, and the seconds' ratio falls below the passes'.
At full width, the default, it does not.

Reading scans from disk, which the reference does every epoch, is in neither. Made-up scans; float32
on the CPU.

    python -m benchmarks.probe_speed [--scans 24] [--shape 48 64 64] [--width 1] [--json FILE]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.shared import script
from benchmarks.shared.held import HeldScan
from fmtool.task import AGE, Task
from training import encoders, probe
from training.augment.whole import whole
from training.cohort import Cohort, Row
from training.store.embed import embeddings

BATCH = 6
EPOCHS = 100


def make(
    scans: int, shape: tuple[int, int, int], seed: int = 0
) -> tuple[list[HeldScan], Cohort[Task]]:
    """Noise in a ball, and an age each."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    mask = np.square(grid).sum(axis=0) < 0.8
    entries, rows = [], []
    for number in range(scans):
        volume = (rng.normal(size=shape) * mask).astype(np.float32)
        entries.append(HeldScan(volume, mask, {"digest": f"made-{seed}-{number}"}))
        name, age = f"sub-{number:03d}", float(rng.uniform(20, 80))
        rows.append(Row(name, Path(f"{name}.nii.gz"), None, age, None, number + 2))
    return entries, Cohort(Path("made"), AGE, rows)


class Passes:
    """How many scans have gone through an encoder."""

    count = 0


@contextmanager
def counted(encoder: nn.Module) -> Iterator[Passes]:
    """Count them while in the block, those of the encoder's copies included."""
    found = Passes()

    def hook(module: nn.Module, given: tuple[Tensor, ...], embedding: Tensor) -> None:
        found.count += len(embedding)

    handle = encoder.register_forward_hook(hook)
    try:
        yield found
    finally:
        handle.remove()


def epochs(
    encoder: nn.Module, entries: Sequence[HeldScan], labels: Sequence[float], count: int
) -> list[float]:
    """Run the reference for `count` epochs; the seconds of each. A quarter of the scans validates.

    As upstream's does, it leaves the frozen encoder in training mode, where its BatchNorm's running
    statistics drift.
    """
    scans = torch.stack(
        [whole(torch.from_numpy(e.volume), torch.from_numpy(e.mask)) for e in entries]
    )[:, None]
    target = torch.tensor(labels)[:, None]
    first = len(scans) - len(scans) // 4
    head = nn.Linear(encoders.feature_count(encoder), 1)
    solver = torch.optim.Adam(head.parameters(), lr=1e-4)
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        encoder.train()
        for indices in torch.randperm(first).split(BATCH):
            with torch.no_grad():
                embedding = encoder(scans[indices])
            loss = (head(embedding) - target[indices]).square().mean()
            solver.zero_grad()
            loss.backward()
            solver.step()
        encoder.eval()
        with torch.no_grad():
            for indices in torch.arange(first, len(scans)).split(BATCH):
                (head(encoder(scans[indices])) - target[indices]).square().mean()
        seconds.append(time.perf_counter() - start)
    return seconds


def measure(
    entries: list[HeldScan], cohort: Cohort[Task], width: float, timed: int
) -> dict[str, Any]:
    """All figures; `timed` reference epochs are run, half of them before ours and half after."""
    torch.manual_seed(0)
    encoder, labels = encoders.build(width=width), cohort.labels.tolist()
    epochs(encoder, entries[: 2 * BATCH], labels[: 2 * BATCH], 1)  # warms up
    with counted(encoder) as reference:
        before = epochs(encoder, entries, labels, timed - timed // 2)
    with tempfile.TemporaryDirectory() as cache:

        def embedded() -> NDArray[np.float64]:
            return embeddings(encoder, entries, cache).astype(np.float64)

        with counted(encoder) as once:
            first = script.timed(lambda: probe.fit_affine(embedded(), cohort))[1]
        with counted(encoder) as again:
            cached = script.timed(lambda: probe.fit_affine(embedded(), cohort))[1]
        evidence = script.timed(lambda: probe.fit(embedded(), cohort))[1]
    each = before + epochs(encoder, entries, labels, timed // 2)
    per_epoch = reference.count // len(before)
    total = EPOCHS * statistics.mean(each)
    return {
        "epochs": EPOCHS,
        "epochs_run": timed,
        "passes": {
            "reference": EPOCHS * per_epoch,
            "ours_first": once.count,
            "ours_cached": again.count,
            "ratio": EPOCHS * per_epoch / once.count,
        },
        "seconds": {
            "reference": total,
            "reference_epoch": [min(each), statistics.mean(each), max(each)],
            "ours_first": first,
            "ours_cached": cached,
            "evidence": evidence,
        },
        "ratio_first": total / first,
        "ratio_cached": total / cached,
        "ratio_first_with_evidence": total / (first + evidence),
    }


def main() -> None:
    """Measure, print JSON, and write it."""
    args = script.options(
        __doc__,
        scans=24,
        shape=[48, 64, 64],
        width=1.0,
        epochs_run=(4, "of the reference's 100"),
        threads=1,
        json=Path,
    )
    torch.set_num_threads(args.threads)
    z, y, x = args.shape
    found = measure(*make(args.scans, (z, y, x)), args.width, args.epochs_run)
    setting = {"scans": args.scans, "shape": [z, y, x], "width": args.width}
    setting |= {"threads": args.threads, "torch": torch.__version__}
    script.tell({"setting": setting, **found}, args.json)


if __name__ == "__main__":
    main()
