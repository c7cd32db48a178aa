"""A Hugging Face folder: `config.json` beside `model.safetensors` or torch's file, read as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from fmtool import plain_json
from fmtool.errors import InputError, UsageError
from training.encoders.checkpoint import read_tensors
from training.encoders.encoder_folder import FACTS
from training.encoders.layout import Residual, Transformer
from training.encoders.told import Told

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

_MAX_CONFIG = 1 << 20
_TRANSFORMER = {"img_size", "patch_size", "num_heads"}


def is_folder(path: Path) -> bool:
    """Whether a folder is laid out so, and none that `save_encoder` wrote."""
    return (path / CONFIG).is_file() and not (path / FACTS).exists()


def read(path: Path, told: Told) -> tuple[dict[str, Tensor], dict[str, Any], Told]:
    """The folder's tensors, facts, and what its configuration tells where `told` does not.

    Raises:
        InputError: if a file is missing or damaged, or the weights are in several files.
    """
    place = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if place is None:
        several = any((path / f"{name}.index.json").is_file() for name in WEIGHTS)
        found = "its weights in several files; save them as one" if several else "no weights"
        raise InputError(f"{path} holds {found}; fmtool reads {' or '.join(WEIGHTS)}")
    if (path / CONFIG).stat().st_size > _MAX_CONFIG:
        raise InputError(f"{path / CONFIG} is larger than {_MAX_CONFIG >> 20} MiB: refused")
    try:
        config = plain_json.loads((path / CONFIG).read_bytes())
        config = config if isinstance(config, dict) else {}
        layout = Residual.read(config)
        if config.keys() >= _TRANSFORMER:
            told = replace(told, transformer=Transformer.read(config))
    except (ValueError, UsageError) as error:
        raise InputError(f"{path / CONFIG} cannot be used ({error}); copy it again") from None
    if told.stem_stride is None and "conv1_t_stride" in config:
        z, y, x = layout.conv1_t_stride
        if not z == y == x:
            raise InputError(f"{path / CONFIG}: conv1_t_stride differs between axes: refused")
        told = replace(told, stem_stride=z)
    if told.max_pool is None and "no_max_pool" in config:
        told = replace(told, max_pool=not layout.no_max_pool)
    tensors, facts = read_tensors(place)
    return tensors, {**facts, "format": "hugging face"}, told
