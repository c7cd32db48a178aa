"""An encoder's own folder: `encoder.safetensors` and `encoder.json`."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from fmtool import __version__, plain_json
from fmtool.bundle.exposure import UNKNOWN, Exposure
from fmtool.errors import InputError, UsageError
from training.encoders import architecture
from training.encoders.architecture import NAMES, describe
from training.encoders.checkpoint import read_tensors
from training.encoders.grid import Gridded
from training.encoders.own_input import Entered, core

WEIGHTS = "encoder.safetensors"
FACTS = "encoder.json"

_GRID, _INPUT = "grid", "input"  # entries of the file's metadata, where the encoder has one


def digest(encoder: nn.Module) -> str:
    """SHA-256 of an encoder's weights, grid and input: of the `encoder.safetensors` it becomes."""
    return hashlib.sha256(_serialise(encoder)).hexdigest()


def save_encoder(
    folder: str | os.PathLike[str],
    encoder: nn.Module,
    source: str,
    overwrite: bool = False,
    seen: Exposure = UNKNOWN,
) -> Path:
    """Write `encoder.safetensors` and `encoder.json` as a new folder: complete, or not at all.

    Args:
        folder: must not exist yet, or be empty.
        encoder: as `build` made it.
        source: where the weights come from, in words, for whoever finds the folder.
        overwrite: put the new folder in the place of one that is there.
        seen: whose scans and labels set the weights.

    Raises:
        InputError: if the folder is there already or cannot be written.
    """
    target = Path(folder)
    if not overwrite and target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(f"{target} exists and is left as it is; name another folder")
    weights = _serialise(encoder)
    facts = {
        **describe(encoder).facts(),
        "source": source,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "fmtool": __version__,
        "exposure": seen.to_dict() if seen != UNKNOWN else None,
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fmtool-", dir=target.parent) as scratch:
            staged = Path(scratch) / "encoder"
            staged.mkdir()
            (staged / WEIGHTS).write_bytes(weights)
            (staged / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            if overwrite and target.exists():
                target.rename(Path(scratch) / "old")
            os.replace(staged, target)
    except OSError as error:
        raise InputError(
            f"cannot write {target} ({error.strerror}); name a folder that you may write to"
        ) from None
    return target


def read_folder(folder: Path) -> tuple[dict[str, Tensor], nn.Module, dict[str, Any]]:
    """What such a folder holds: named tensors, and an encoder of their kind without them.

    Returns:
        the tensors, the encoder with fresh weights, and facts: "format", "source"
        and "exposure".

    Raises:
        InputError: if a file is missing or damaged.
    """
    for name in (FACTS, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder} is not an encoder's folder: it holds no {name}")
    try:
        facts = plain_json.loads((folder / FACTS).read_bytes())
        name, sha256 = facts["architecture"], facts["sha256"]
        if name not in NAMES:
            raise InputError(f"{folder} holds a {name!r:.60}; this fmtool reads {', '.join(NAMES)}")
        encoder = architecture.read(facts).build()
        seen = Exposure.from_dict(facts.get("exposure"))  # absent from folders of earlier versions
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise InputError(
            f"{folder / FACTS} is damaged ({error}); import the encoder again"
        ) from None
    tensors, about = read_tensors(folder / WEIGHTS)
    with (folder / WEIGHTS).open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise InputError(
                f"{folder / WEIGHTS} does not match its SHA-256; copy the folder again"
            )
    told, stored = _beside(encoder), _stored(folder / WEIGHTS)
    if other := [name for name in (_GRID, _INPUT) if told.get(name) != stored.get(name)]:
        raise InputError(
            f"{folder / FACTS} tells another {other[0]} than the weights; copy it again"
        )
    return tensors, encoder, {**about, "source": facts.get("source", ""), "exposure": seen}


def _serialise(encoder: nn.Module) -> bytes:
    weights = core(encoder).state_dict()
    tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
    return bytes(safetensors.torch.save(tensors, _beside(encoder) or None))


def _beside(encoder: nn.Module) -> dict[str, str]:
    """What weights do not tell of a grid or an own input, as their file does."""
    if isinstance(encoder, Gridded):
        more = ", histogram" if encoder.histogram else ""
        cells = "x".join(map(str, encoder.cells))
        return {_GRID: f"stage {encoder.stage}, cells {cells}{more}"}
    if isinstance(encoder, Entered):
        own = encoder.own
        size = "x".join(map(str, own.shape))
        return {_INPUT: f"{own.frame} to {size}, {own.intensities}"}
    return {}


def _stored(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as stored:
        found = stored.metadata() or {}
    return {key: found[key] for key in (_GRID, _INPUT) if key in found}
