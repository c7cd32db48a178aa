"""Pretraining by `benchmarks.demo.local`, watched for collapse: then again, with another seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.demo.local import BOX, CELL, LocalSimCLR
from fmtool.errors import FmtoolError
from training.augment.whole import whole
from training.cohort.prepared import PreparedScan
from training.encoders import architecture
from training.encoders.layout import Residual
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings

WIDTH = 0.25
STRIDE = 2
"""Of the first convolution: an eighth of the products, and 2 mm are what the heads hold."""

BATCH = 8
RATE = 1e-3
TRIES = 3
LEARNT = 0.9
"""The most of guessing's loss that a last epoch may have."""

ALIVE = 0.05
"""The least deviation of a feature between heads, in its mean: the median over the features."""

_NORMED = 24  # heads whose statistics BatchNorm takes


def fresh(seed: int) -> nn.Module:
    """The whole network before any training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build(
            "resnet18", WIDTH, None, Residual(conv1_t_stride=(STRIDE, STRIDE, STRIDE))
        )


def side_by_side(one: nn.Module, other: nn.Module) -> nn.Module:
    """Two whole networks by `fresh` as one of twice the channels, which do not mix."""
    layout = Residual(conv1_t_stride=(STRIDE, STRIDE, STRIDE))
    both = architecture.build("resnet18", 2 * WIDTH, None, layout).eval()
    own, others, found = one.state_dict(), other.state_dict(), {}
    for name, wanted in both.state_dict().items():
        a, b = own[name], others[name]
        if wanted.ndim == 5 and wanted.shape[1] > 1:  # convolutions of the channels before
            joined = torch.zeros_like(wanted)
            joined[: len(a), : a.shape[1]], joined[len(a) :, a.shape[1] :] = a, b
            found[name] = joined
        else:
            found[name] = torch.cat([a, b]) if wanted.ndim else a
    both.load_state_dict(found)
    return both


@torch.no_grad()
def normed(encoder: nn.Module, entries: Sequence[PreparedScan]) -> nn.Module:
    """The encoder in eval mode, its BatchNorm statistics made anew from whole heads.

    Those of crops, or of no head at all, are not those of what it will see.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the heads
    encoder.train()
    for entry in entries[:: max(1, len(entries) // _NORMED)]:
        encoder(_head(entry))
    for norm in norms:
        norm.momentum = 0.1
    return encoder.eval()


@torch.inference_mode()
def variation(encoder: nn.Module, entries: Sequence[PreparedScan]) -> float:
    """The median over live features of their deviation between heads, in their means."""
    kept = entries[:: max(1, len(entries) // _NORMED)]
    found = torch.cat([encoder(_head(entry)) for entry in kept])
    spread, size = found.std(0), found.abs().mean(0)
    live = size > 1e-6 * size.max()
    return float((spread[live] / size[live]).median()) if bool(live.any()) else 0.0


def _head(entry: PreparedScan) -> torch.Tensor:
    volume, mask = (torch.from_numpy(a.copy()) for a in (entry.volume, entry.mask))
    return whole(volume, mask)[None, None]


def pretrained(
    entries: Sequence[PreparedScan], stage: int, epochs: int, seed: int, cache: Path
) -> nn.Module:
    """The gridded network of `stage` after `epochs` on the scans; from the cache if it is there.

    Raises:
        FmtoolError: if it collapses with every seed.
    """
    scans = "".join(str(entry.facts["digest"]) for entry in entries)
    for _ in range(TRIES):
        settled = f"{scans} {WIDTH} {STRIDE} {stage} {BOX} {CELL} {BATCH} {RATE} {seed} {epochs}"
        run = cache / f"local-{hashlib.sha256(settled.encode()).hexdigest()[:16]}"
        recipe = LocalSimCLR(fresh(seed), stage)
        settings = Settings(epochs, BATCH, seed, RATE, device="cpu", checkpoint_every=5)
        last: dict[str, float] = {}

        def told(epoch: int, means: dict[str, float], record: dict[str, Any]) -> dict[str, float]:
            last.update(means)  # noqa: B023
            record["of_chance"] = means["of_chance"]
            print(f"epoch {epoch} {means}", flush=True)
            return {}

        loop = Loop(
            devices.launch(settings), recipe, ScanDataset(entries), settings, run, run.exists()
        )
        loop.run(told)
        encoder = recipe.network.get_submodule("encoder")
        encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        normed(encoder, entries)
        of_chance, moved = loop.record["of_chance"], variation(encoder, entries)
        said = f"loss {of_chance:.2f} of guessing's, features vary by {moved:.2f} of their mean"
        if of_chance < LEARNT and moved > ALIVE:
            print(f"pretrained with seed {seed}: {said}", flush=True)
            return encoder
        print(f"seed {seed} has collapsed ({said}): again with seed {seed + 1}", flush=True)
        seed += 1
    raise FmtoolError(f"the pretraining collapsed with {TRIES} seeds, the last {seed - 1}")
