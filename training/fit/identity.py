"""What makes two runs the same run, so that one may go on where the other stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from fmtool.errors import InputError
from training.fit import checkpoint
from training.fit.checkpoint import State
from training.fit.data import ScanDataset
from training.fit.recipe import Recipe
from training.fit.settings import Settings


def identity(recipe: Recipe, scans: ScanDataset, settings: Settings) -> dict[str, Any]:
    """The recipe, the scans and the settings, as a checkpoint records them."""
    content = "\n".join(
        [str(len(scans)), *scans.digests, *(f"{v:.9g}" for v in np.ravel(scans.labels))]
    )
    found = {
        "recipe": {"name": recipe.name, **recipe.describe()},
        "scans": hashlib.sha256(content.encode()).hexdigest(),
        "settings": settings.to_dict(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=sorted))  # as a file gives it back
    return plain


def resumed(
    folder: Path,
    now: dict[str, Any],
    settings: Settings,
    network: nn.Module,
    optimizer: Optimizer,
    resume: bool,
) -> State:
    """The newest checkpoint's state, its weights put in place; step 0 where there is none.

    Raises:
        InputError: if there is a checkpoint and `resume` is not set, it is damaged, or it belongs
            to a run of another recipe, other scans or other settings.
    """
    found = checkpoint.newest(folder)
    if found is None:
        return State(0, {})
    if not resume:
        raise InputError(
            f"{folder.parent} holds a run already; go on with --resume, or name another folder"
        )
    before = checkpoint.read_state(found).record
    changed = settings.changed_from(before["settings"])
    changed += _changes("the recipe's", before["recipe"], now["recipe"])
    if before["scans"] != now["scans"]:
        changed.append("the scans or their labels are others")
    if changed:
        raise InputError(
            f"{folder.parent} cannot be resumed: {'; '.join(changed)}; move it away, or name "
            "another folder"
        )
    return checkpoint.load(found, network, optimizer)


def _changes(name: str, before: Any, now: Any) -> list[str]:
    """What differs between two plain values, in words, each by its own name."""
    if before == now:
        return []
    if isinstance(before, dict) and isinstance(now, dict):
        keys = {**before, **now}
        return [c for k in keys for c in _changes(f"{name} {k}", before.get(k), now.get(k))]
    return [f"{name} was {before!s:.80} and is {now!s:.80}"]
