"""A microscopic study in memory, and a size to match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.protocols.bench import Bench
from benchmarks.protocols.size import Size
from benchmarks.protocols.study import Study
from fmtool.task import AGE, Task
from training import probe
from training.cohort.row import Row
from training.evidence import evaluate


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are what tiny tensors cost most on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser intervals and regularisation, sooner."""
    monkeypatch.setattr(evaluate, "SAMPLES", 200)
    monkeypatch.setattr(probe, "_STRENGTHS", np.array([0.1, 10.0]))


@pytest.fixture
def micro() -> Size:
    return Size(
        name="micro",
        width=1 / 32,
        shape=(16, 16, 16),
        patch=(8, 8, 8),
        min_crop=(12, 12, 12),
        pretrain_epochs=1,
        pretrain_batch=4,
        pretrain_rate=1e-3,
        train_epochs=1,
        train_batch=4,
        train_rate=1e-3,
        device="cpu",
    )


@pytest.fixture
def bench(micro: Size, tmp_path: Path) -> Bench:
    return Bench(micro, tmp_path / "cache")


@pytest.fixture
def study_of() -> Callable[..., Study]:
    """(task, subjects, scans each) -> a study whose texture and size follow the label."""

    def made(task: Task = AGE, subjects: int = 24, scans: int = 1) -> Study:
        rng = np.random.default_rng(3)
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 18)] * 3, indexing="ij"))
        entries, rows = [], []
        for who in range(subjects):
            sex = float(who % 2)
            age = float(rng.uniform(20, 80))
            for _ in range(scans):
                mask = np.square(grid).sum(axis=0) < 0.7 + 0.15 * sex + rng.normal(0, 0.08)
                waves = np.sin((2 + age / 10) * grid[0]) + 0.3 * rng.normal(size=mask.shape)
                number = len(entries)
                facts = {"digest": f"d{number}", "brain_volume_ml": float(mask.sum())}
                volume = (waves * mask).astype(np.float32)
                entries.append(SimpleNamespace(volume=volume, mask=mask, facts=facts))
                label = sex if task.kind == "binary" else age
                path = Path(f"{number}.nii.gz")
                site = "north" if who % 4 < 2 else "south"
                rows.append(Row(f"sub-{who:02d}", path, None, label, site, number + 2))
        path = Path("micro.csv")
        return Study(path, task, rows, entries=entries, name=path.name, synthetic=True)

    return made
