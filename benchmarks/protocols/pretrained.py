"""Pretrained encoders: trained once per recipe, scans, settings and seed; then from the cache."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.protocols.size import Size
from fmtool import __version__
from training import encoders
from training.augment import SimCLRAugment
from training.cohort.prepared import PreparedScan
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.identity import identity
from training.fit.logs import METRICS
from training.fit.loop import Loop, OnEpoch
from training.fit.recipe import Recipe
from training.fit.settings import Settings
from training.mae import MAE
from training.simclr import SimCLR

_SPEED = ("device", "workers", "checkpoint_every")
"""Settings that change how fast a run is, and not what it computes."""


def simclr(size: Size, seed: int, augment: SimCLRAugment | None = None) -> SimCLR:
    """The recipe at a size; its own augmentation unless another is given."""
    return SimCLR("resnet18", size.width, seed, augment or size.augment, recompute=size.recompute)


def mae(size: Size, seed: int) -> MAE:
    """The recipe at a size, on whole scans."""
    return MAE("vit_tiny", size.width, size.patch, seed, output_shape=size.shape)


def fresh(name: str, size: Size, seed: int) -> nn.Module:
    """An encoder with random weights, "resnet18" or "vit_tiny"."""
    return encoders.fresh(name, size.width, size.patch if name.startswith("vit") else None, seed)


def encoder(
    recipe: Recipe,
    entries: Sequence[PreparedScan],
    settings: Settings,
    cache: Path,
    on_epoch: OnEpoch | None = None,
) -> nn.Module:
    """The recipe's encoder after pretraining on `entries`, in eval mode; their labels are not read.

    Args:
        recipe: a self-supervised one with fresh weights.
        entries: whom it sees.
        settings: how long and how.
        cache: `pretrained/` in it keeps encoders; an interrupted run in it goes on.
        on_epoch: see `training.fit.loop`; not called for an encoder from the cache.
    """
    scans = ScanDataset(entries)
    folder = _folder(recipe, scans, settings, cache)
    kept = folder / "encoder"
    if not kept.exists():
        run = folder / "run"
        Loop(devices.launch(settings), recipe, scans, settings, run, resume=True).run(on_epoch)
        source = f"{recipe.name}, {settings.epochs} epochs on {len(entries)} scans"
        encoders.save_encoder(kept, recipe.network.get_submodule("encoder"), source)
        shutil.rmtree(run / "checkpoints")  # three times the weights, and done with
    return encoders.load_checkpoint(kept)[0]


def losses(
    recipe: Recipe, entries: Sequence[PreparedScan], settings: Settings, cache: Path
) -> NDArray[np.float64]:
    """(steps,): the loss of each step of a pretraining that `encoder` has done."""
    log = _folder(recipe, ScanDataset(entries), settings, cache) / "run" / METRICS
    with log.open(encoding="utf-8", newline="") as stream:
        return np.array([float(r["value"]) for r in csv.DictReader(stream) if r["name"] == "loss"])


def _folder(recipe: Recipe, scans: ScanDataset, settings: Settings, cache: Path) -> Path:
    return cache / "pretrained" / f"{recipe.name}-{key(recipe, scans, settings)}"


def key(recipe: Recipe, scans: ScanDataset, settings: Settings, *more: Any) -> str:
    """What a result of a run is kept under: all that it follows from, devices and speed aside."""
    found = identity(recipe, scans, settings)
    for name in _SPEED:
        del found["settings"][name]
    text = json.dumps([__version__, found, *more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
