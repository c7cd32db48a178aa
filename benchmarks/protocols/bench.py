"""Bench: where and how large systems are trained, and whose images encoders are pretrained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.protocols import pretrained
from benchmarks.protocols.size import Size
from benchmarks.protocols.study import Fold, Study
from benchmarks.shared.held import HeldScan
from training.augment.whole import Shape
from training.cohort.prepared import PreparedScan, brain_ml
from training.fit import devices
from training.fit.recipe import Recipe
from training.store.embed import embeddings


def shrink(entry: PreparedScan, shape: Shape) -> PreparedScan:
    """The scan at `shape`, as `training.augment.whole.whole` resizes it; one that has it stays."""
    if entry.mask.shape == shape:
        return entry
    volume = torch.from_numpy(np.array(entry.volume, dtype=np.float32))[None, None]
    mask = torch.from_numpy(np.array(entry.mask, dtype=np.float32))[None, None]
    name = f"{entry.facts['digest']} {shape}"
    facts = {
        **entry.facts,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "brain_volume_ml": brain_ml(entry),
    }
    return HeldScan(
        functional.interpolate(volume, shape, mode="trilinear")[0, 0].numpy(),
        functional.interpolate(mask, shape, mode="nearest-exact")[0, 0].numpy() > 0,
        facts,
    )


@dataclass
class Bench:
    """Where and how large systems are trained, and on which scans encoders are pretrained.

    Attributes:
        size: of everything.
        cache: folder for pretrained encoders, embeddings and finished fits.
        pool: scans to pretrain on. None takes the study's own.
        transductive: with no pool, whether the test scans' images (never their labels) are
            pretrained on; if not, one pretraining per fold leaves them out.
        given: encoders by "simclr" or "mae", trained elsewhere; nothing is pretrained for these.
        pretrain_seed: of all pretraining; None takes the seed of the fit that asks for it.
    """

    size: Size
    cache: Path
    pool: Sequence[PreparedScan] | None = None
    transductive: bool = True
    given: dict[str, nn.Module] = field(default_factory=dict)
    pretrain_seed: int | None = None
    _shrunk: dict[str, PreparedScan] = field(default_factory=dict, repr=False)

    def pretraining_sentence(self) -> str:
        """Whose images the encoders have seen, for a report."""
        told = "no labels are read"
        if self.pool is not None:
            how = f"encoders are pretrained on {len(self.pool)} scans of another cohort; {told}"
        elif self.transductive:
            how = (
                "TRANSDUCTIVE: encoders are pretrained on all scans of the cohort, the test scans' "
                f"images included; {told}"
            )
        else:
            how = f"one pretraining per fold, which leaves out the test scans' images; {told}"
        given = f"; given from outside: {', '.join(sorted(self.given))}" if self.given else ""
        return how + given

    def simclr(self, study: Study, fold: Fold, seed: int) -> nn.Module:
        """The SimCLR encoder for a fold, in eval mode."""
        seed = self.seed_of(seed)
        return self._pretrained("simclr", pretrained.simclr(self.size, seed), study, fold, seed)

    def mae(self, study: Study, fold: Fold, seed: int) -> nn.Module:
        """The masked autoencoder's encoder for a fold, in eval mode."""
        seed = self.seed_of(seed)
        return self._pretrained("mae", pretrained.mae(self.size, seed), study, fold, seed)

    def seed_of(self, seed: int) -> int:
        """The seed of a pretraining that a fit with `seed` asks for."""
        return seed if self.pretrain_seed is None else self.pretrain_seed

    def random(self, study: Study, fold: Fold, seed: int) -> nn.Module:
        """A ResNet-18 as it is before any training."""
        del study, fold
        return pretrained.fresh("resnet18", self.size, seed).eval()

    def scans(self, study: Study, fold: Fold) -> list[PreparedScan]:
        """Whom a fold's encoder is pretrained on."""
        if self.pool is not None:
            return list(self.pool)
        if self.transductive:
            return list(study.entries)
        tested = set(fold.test.tolist())
        return [entry for i, entry in enumerate(study.entries) if i not in tested]

    def small(self, entries: Sequence[PreparedScan]) -> list[PreparedScan]:
        """The scans at the size's shape, each resized once."""
        for entry in entries:
            if entry.facts["digest"] not in self._shrunk:
                self._shrunk[entry.facts["digest"]] = shrink(entry, self.size.shape)
        return [self._shrunk[entry.facts["digest"]] for entry in entries]

    def embed(self, encoder: nn.Module, study: Study) -> NDArray[np.float64]:
        """(N, F) embeddings of the study's scans at the size's shape, from the cache if there."""
        device = devices.launch(self.size.pretraining(0)).device
        cache, entries = self.cache / "embeddings", self.small(study.entries)
        found = embeddings(encoder.to(device), entries, cache, self.size.shape)
        return found.astype(np.float64)

    def _pretrained(
        self, name: str, recipe: Recipe, study: Study, fold: Fold, seed: int
    ) -> nn.Module:
        if name in self.given:
            return self.given[name]
        entries, settings = self.scans(study, fold), self.size.pretraining(seed)
        if name == "mae":  # it sees whole scans, never crops: small ones serve it as well
            entries = self.small(entries)
        return pretrained.encoder(recipe, entries, settings, self.cache)
