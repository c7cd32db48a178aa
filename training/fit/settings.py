"""Settings: everything about a run that is not its recipe or its data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from fmtool.errors import UsageError

OptimizerName = Literal["adam", "lars"]
Precision = Literal["float32", "bfloat16"]
DeviceName = Literal["auto", "cpu", "cuda"]

RATES: dict[str, float] = {"adam": 3e-4, "lars": 0.3}
DECAYS: dict[str, float] = {"adam": 0.0, "lars": 1e-6}
"""The paper's, for a run that names none."""

_FREE = frozenset({"epochs", "checkpoint_every", "workers", "device"})
"""What a resumed run may change: none of it changes what one step computes."""


@dataclass(frozen=True)
class Settings:
    """How long, how fast and on what a recipe is run.

    Attributes:
        epochs: passes over the scans.
        batch: scans per step and process.
        seed: of weights, order and views.
        learning_rate: 3e-4 for Adam and 0.3 for LARS (times batch / 256) where none is given.
        optimizer: Adam at a constant rate, or LARS with cosine decay.
        weight_decay: 0 for Adam and 1e-6 for LARS, which spares biases and norms, where none is
            given.
        precision: of the network's arithmetic; weights and loss stay float32.
        clip_norm: largest norm of the gradient; not clipped where none is given.
        checkpoint_every: epochs between checkpoints.
        device: auto takes CUDA where there is one.
        devices: devices, or processes, per machine.
        nodes: machines, under torchrun or Slurm.
        workers: loader processes per training process.
    """

    epochs: int = 1000
    batch: int = 6
    seed: int = 42
    learning_rate: float | None = None
    optimizer: OptimizerName = "adam"
    weight_decay: float | None = None
    precision: Precision = "float32"
    clip_norm: float | None = None
    checkpoint_every: int = 10
    device: DeviceName = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch", 1),
            ("seed", 0),
            ("checkpoint_every", 1),
            ("devices", 1),
            ("nodes", 1),
            ("workers", 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise UsageError(f"{name} is {value}; it must be {least} or more")
        if self.learning_rate is not None and not 0.0 < self.learning_rate < 100.0:
            raise UsageError(
                f"learning_rate is {self.learning_rate:g}; it must be between 0 and 100"
            )
        if self.weight_decay is not None and self.weight_decay < 0.0:
            raise UsageError(f"weight_decay is {self.weight_decay:g}; it must be 0 or more")
        if self.clip_norm is not None and not self.clip_norm > 0.0:
            raise UsageError(f"clip_norm is {self.clip_norm:g}; it must be above 0")
        for name, valid in (
            ("optimizer", get_args(OptimizerName)),
            ("precision", get_args(Precision)),
            ("device", get_args(DeviceName)),
        ):
            if getattr(self, name) not in valid:
                raise UsageError(
                    f"unknown {name} {getattr(self, name)!r}; there are {', '.join(valid)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a checkpoint records it."""
        return asdict(self)

    def changed_from(self, earlier: dict[str, Any]) -> list[str]:
        """What differs from an earlier run's settings and may not, in words.

        More epochs are allowed, except where the learning rate's schedule depends on them.
        """
        free = _FREE if self.optimizer == "adam" else _FREE - {"epochs"}
        return [
            f"{f.name} was {earlier.get(f.name)} and is {getattr(self, f.name)}"
            for f in fields(self)
            if f.name not in free and earlier.get(f.name) != getattr(self, f.name)
        ]
