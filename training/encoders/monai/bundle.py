"""A MONAI bundle's network -> an encoder. Its configuration and weights are data: none of it runs.

Source: "MONAI Bundle Specification", https://docs.monai.io/en/stable/mb_specification.html.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from fmtool.errors import InputError, UsageError
from fmtool.files import DAMAGED, bounded
from training.encoders import weights
from training.encoders.architecture import describe
from training.encoders.checkpoint import MAX_BYTES, read_stream
from training.encoders.monai import config as monai_config
from training.encoders.monai import declared
from training.encoders.monai import networks as monai_networks

WEIGHTS, SCRIPT = "models/model.pt", "models/model.ts"
METADATA = "configs/metadata.json"
CONFIGS = ("configs/inference.json", "configs/train.json")

_MAX_CONFIG = 1 << 20
_MAX_MEMBERS = 10_000
_BLOCK = 1 << 20
_DAMAGED = (*DAMAGED, OSError)
_ZIP = b"PK\x03\x04"

Root = Path | zipfile.Path


def is_bundle(path: Path) -> bool:
    """Whether a folder or zip is laid out as a MONAI bundle: with a folder `configs`."""
    if path.is_dir():
        return (path / "configs").is_dir()
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(4) != _ZIP:
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(_roots(archive))
    except DAMAGED:
        return False


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The encoder in a bundle's network, with its weights.

    Args:
        path: for which `is_bundle` holds.

    Returns:
        the encoder, and "format", "source", "unexpected" (names that its network does not have),
        "dropped" (those of the layers after the embedding) and "remarks".

    Raises:
        InputError: if the bundle cannot be read, its network is none that can be imported, or its
            weights are not that network's.
    """
    with _opened(path) as root:
        config, name = _config(root, path)
        where = f"MONAI bundle {path}, {name}"
        target, arguments = monai_config.network(config, where)
        try:
            network = monai_networks.recognise(target, arguments)
            encoder = network.architecture.build()
            parts = weights.split(_weights(root, path), where)
            found = network.rename(parts.encoder)
        except UsageError as error:
            raise InputError(f"{where}, {monai_config.NETWORK}: {error}") from None
    dropped = sorted(name for name in found if monai_networks.dropped(name))
    kept = {name: tensor for name, tensor in found.items() if name not in dropped}
    what = f"the encoder of its {target.rpartition('.')[2]} ({describe(encoder).name})"
    unexpected = weights.fill(encoder, kept, f"MONAI bundle {path}, {WEIGHTS}", what)
    about = config["_meta_"]
    named = " ".join(str(about.get(key, ""))[:80] for key in ("name", "version"))
    return encoder, {
        "format": "monai bundle",
        "source": f"MONAI bundle {' '.join(named.split()) or path.name}",
        "unexpected": [*parts.others, *unexpected],
        "dropped": dropped,
        "remarks": declared.differences(config),
    }


@contextmanager
def _opened(path: Path) -> Iterator[Root]:
    """The bundle's root. A zip's members are read by the names above: none becomes a path."""
    if path.is_dir():
        yield path
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = list(map(bounded, archive.infolist()))
            if len(members) > _MAX_MEMBERS:
                raise InputError(f"MONAI bundle {path} has more than {_MAX_MEMBERS} members")
            for member in members:
                place = PurePosixPath(member.filename)
                if place.is_absolute() or ".." in place.parts:
                    raise InputError(f"MONAI bundle {path} has a member outside of it, {place}")
                if member.flag_bits & 1:
                    raise InputError(f"MONAI bundle {path} is encrypted; unpack it first")
            roots = _roots(archive)
            if len(roots) != 1:
                raise InputError(f"{path} holds {len(roots)} MONAI bundles; give one")
            yield zipfile.Path(archive, roots.pop())
    except _DAMAGED as error:
        raise InputError(f"MONAI bundle {path} is damaged ({error!s:.80}); copy it again") from None


def _roots(archive: zipfile.ZipFile) -> set[str]:
    """Where in a zip bundles are: at its top, or in a folder of it."""
    names = [name for name in archive.namelist() if name.endswith((*CONFIGS, METADATA))]
    found = {name.rpartition("configs/")[0] for name in names}
    return {root for root in found if root.count("/") == root.endswith("/")}


def _config(root: Root, path: Path) -> tuple[dict[str, Any], str]:
    """The configuration that defines the network, with the metadata as its `_meta_`; its name."""
    for name in CONFIGS:
        if (root / name).is_file():
            config = _json(root / name, f"MONAI bundle {path}, {name}")
            if monai_config.NETWORK in config:
                place = root / METADATA
                about = _json(place, f"MONAI bundle {path}, {METADATA}") if place.is_file() else {}
                return {**config, "_meta_": about}, name
    raise InputError(
        f"MONAI bundle {path} has no {monai_config.NETWORK} in {' or '.join(CONFIGS)}; fmtool "
        "reads no other configuration"
    )


def _json(place: Root, where: str) -> dict[str, Any]:
    with place.open("rb") as stream:
        text = stream.read(_MAX_CONFIG + 1)
    if len(text) > _MAX_CONFIG:
        raise InputError(f"{where} is larger than {_MAX_CONFIG >> 20} MiB: refused")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}); copy the bundle anew") from None
    if not isinstance(found, dict):
        raise InputError(f"{where} holds no named entries")
    return found


def _weights(root: Root, path: Path) -> dict[str, Any]:
    place = root / WEIGHTS
    if not place.is_file():
        only = f"only {SCRIPT}, a TorchScript program, which fmtool does not run"
        found = only if (root / SCRIPT).is_file() else "no weights"
        raise InputError(f"MONAI bundle {path} holds {found}; fmtool needs {WEIGHTS}")
    name = path / WEIGHTS
    with place.open("rb") as stream, tempfile.TemporaryFile() as whole:
        # Copied even from a folder: a member of a zip seeks by unpacking anew, and may be a bomb.
        while block := stream.read(_BLOCK):
            whole.write(block)
            if whole.tell() > MAX_BYTES:
                raise InputError(f"{name} is larger than {MAX_BYTES / 2**30:g} GiB: refused")
        whole.seek(0)
        return read_stream(whole, name)[0]
