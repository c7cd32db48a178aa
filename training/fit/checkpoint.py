"""A run's checkpoints: safetensors and JSON, complete or absent.

A checkpoint is a folder `step-00001234` with `network.safetensors`, `optimizer.safetensors` and
`state.json`. No random state is kept, because none is needed: all randomness of a step follows
from the run's seed and the step's place in it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fmtool import __version__
from fmtool.errors import InputError
from fmtool.files import sha256

NETWORK = "network.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
_FORMAT = 1
_KEPT = 2


@dataclass(frozen=True)
class State:
    """Where a run is.

    Attributes:
        step: optimizer steps done.
        record: the recipe, settings, data and whatever else the run must find again; JSON.
    """

    step: int
    record: dict[str, Any]


def save(folder: Path, network: nn.Module, optimizer: Optimizer, state: State) -> Path:
    """Write a checkpoint into `folder` and drop all but the newest two.

    Raises:
        InputError: if it cannot be written.
    """
    target = folder / f"step-{state.step:08d}"
    tensors, groups = _flatten(optimizer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fmtool-", dir=folder) as scratch:
            staged = Path(scratch) / "new"
            staged.mkdir()
            safetensors.torch.save_file(_plain(network.state_dict()), staged / NETWORK)
            safetensors.torch.save_file(_plain(tensors), staged / OPTIMIZER)
            content = {
                "format": _FORMAT,
                "fmtool": __version__,
                "step": state.step,
                "sha256": {name: sha256(staged / name) for name in (NETWORK, OPTIMIZER)},
                "groups": groups,
                "record": state.record,
            }
            text = json.dumps(content, indent=1) + "\n"
            (staged / STATE).write_text(text, encoding="utf-8")
            if target.exists():
                target.rename(Path(scratch) / "old")
            os.replace(staged, target)
    except OSError as error:
        raise InputError(
            f"cannot write the checkpoint {target} ({error.strerror}); make space, then go on with "
            "--resume"
        ) from None
    for old in _all(folder)[:-_KEPT]:
        shutil.rmtree(old)
    return target


def newest(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None."""
    found = _all(folder)
    return found[-1] if found else None


def load(path: Path, network: nn.Module, optimizer: Optimizer) -> State:
    """Put a checkpoint's weights and the optimizer's state in place.

    Raises:
        InputError: if it is damaged, of another format or of another network.
    """
    state = read_state(path)
    content = json.loads((path / STATE).read_text(encoding="utf-8"))
    for name, digest in content["sha256"].items():
        if not (path / name).is_file() or sha256(path / name) != digest:
            raise InputError(
                f"{path / name} is damaged; delete {path} to go on from the checkpoint before it"
            )
    weights = safetensors.torch.load_file(path / NETWORK)
    wanted = network.state_dict()
    if weights.keys() != wanted.keys() or any(
        weights[name].shape != wanted[name].shape for name in wanted
    ):
        raise InputError(f"{path} holds another network than this run trains; name another folder")
    network.load_state_dict(weights)
    tensors = safetensors.torch.load_file(path / OPTIMIZER)
    optimizer.load_state_dict(_unflattened(tensors, content["groups"]))
    return state


def read_state(path: Path) -> State:
    """Where the run of a checkpoint was, without its weights.

    Raises:
        InputError: if it is damaged or of another format.
    """
    try:
        content = json.loads((path / STATE).read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise InputError(f"{path} has format {content['format']}; this fmtool reads {_FORMAT}")
        return State(int(content["step"]), dict(content["record"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path / STATE} is damaged ({error}); delete {path} to go on from the checkpoint "
            "before it"
        ) from None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    # Cloned, because safetensors refuses tensors that share memory.
    return {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}


def _flatten(optimizer: Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimizer's tensors by "parameter.key", and its groups without tensors."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, entries in state["state"].items()
        for key, value in entries.items()
    }
    return tensors, state["param_groups"]


def optimizer_state(path: Path) -> dict[str, Any]:
    """The optimizer's state dictionary of a checkpoint.

    Raises:
        InputError: if it is damaged or of another format.
    """
    read_state(path)
    content = json.loads((path / STATE).read_text(encoding="utf-8"))
    file = path / OPTIMIZER
    if not file.is_file() or sha256(file) != content["sha256"][OPTIMIZER]:
        raise InputError(f"{file} is damaged; take another checkpoint")
    return _unflattened(safetensors.torch.load_file(file), content["groups"])


def _unflattened(tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": groups}
