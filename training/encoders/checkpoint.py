"""Reading tensors out of files that others made: by torch, in a tar, or as safetensors.

Nothing in such a file is trusted: torch reads with `weights_only=True`, so no code in a pickle
runs; sizes are checked before anything is unpacked; a tar's member names are never used as paths.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from torch import Tensor

from fmtool.errors import InputError
from fmtool.files import DAMAGED

MAX_BYTES = 4 << 30
"""No checkpoint, and no tensor file inside a tar, may be larger: checked before reading."""

_MAX_MEMBERS = 1000
_MAGIC = (b"PK\x03\x04", b"\x80\x02")  # torch's zip since 1.6, and the pickle it wrote before
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error)
_TAR_MODES = ("r:", "r:gz", "r:bz2")  # not xz: its header may claim 4 GB of memory
_GLOBAL = re.compile(r"[\w.]{1,120}")
_ASKED = re.compile(r"GLOBAL ([\w.]+)")
_ACTIVE = ("builtins", "nt", "os", "posix", "runpy", "shutil", "socket", "subprocess", "sys")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_STATES = ("model_state_dict", "state_dict", "model")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The named tensors of a checkpoint file, on the CPU, names as stored.

    Args:
        path: a file by `torch.save` (a dictionary with `model_state_dict`, or a bare one), a tar
            that holds exactly one such file, or a `.safetensors` file.

    Returns:
        the tensors, and facts: "format" ("torch", "tar" or "safetensors"), "epoch" and
        "optimizer" (a state dictionary, unchecked) if stored.

    Raises:
        InputError: if the file is missing, empty, too large, damaged, not a checkpoint, or holds
            anything but plain data.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path} does not exist or is not a file")
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"checkpoint {path} is empty; copy or download it again")
    _check_size(size, path)
    with path.open("rb") as stream:
        if path.suffix == ".safetensors":
            return _safetensors(path), {"format": "safetensors"}
        magic = stream.read(4)
        stream.seek(0)
        # A zip first: its bytes may contain a tar's magic, a tar's never start with a zip's.
        mode = None if magic.startswith(_MAGIC) else _tar_mode(path)
        if mode is None:
            tensors, facts = read_stream(stream, path)
            return tensors, {**facts, "format": "torch"}
    tensors, facts = _tar(path, mode)
    return tensors, {**facts, "format": "tar"}


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(safetensors.torch.load_file(path, device="cpu"))
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}); copy it anew") from None


def _tar_mode(path: Path) -> str | None:
    """How to open a tar; None for anything else."""
    for mode in _TAR_MODES:
        try:
            tarfile.open(path, mode).close()  # type: ignore[call-overload]
            return mode
        except tarfile.ReadError:
            continue
        except _DAMAGED:  # it began as a compressed tar does: let `_tar` say what is wrong
            return mode
    return None


def _tar(path: Path, mode: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with (
            tarfile.open(path, mode) as archive,  # type: ignore[call-overload]
            tempfile.TemporaryFile() as found,
        ):
            count = sum(_copy_if_torch(archive, m, found, path) for m in _members(archive, path))
            if count != 1:
                raise InputError(f"tar {path} holds {count} torch files; expected exactly one")
            found.seek(0)
            return read_stream(found, path)
    except _DAMAGED as error:
        raise InputError(f"tar {path} is damaged ({error}); copy it again") from None


def _members(archive: tarfile.TarFile, path: Path) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in archive:  # one header at a time, so that the limits hold before the next is read
        total += member.size
        _check_size(total, path)
        members.append(member)
        if len(members) > _MAX_MEMBERS:
            raise InputError(f"tar {path} has more than {_MAX_MEMBERS} members; expected one file")
    return members


def _copy_if_torch(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: IO[bytes], path: Path
) -> bool:
    """Copy a member's bytes to `target` if it is a regular file that starts as torch's do."""
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None or not stream.read(4).startswith(_MAGIC):
        return False
    stream.seek(0)
    target.seek(0)
    target.truncate()
    shutil.copyfileobj(stream, target)
    return True


def read_stream(stream: IO[bytes], path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The named tensors of an open file by `torch.save`, and "epoch" if stored.

    Args:
        stream: at its start, which can seek; no larger than `MAX_BYTES`.
        path: what to call it in errors.

    Raises:
        InputError: see `read_tensors`.
    """
    try:
        if zipfile.is_zipfile(stream):
            stream.seek(0)
            with zipfile.ZipFile(stream) as archive:
                _check_size(sum(member.file_size for member in archive.infolist()), path)
    except DAMAGED as error:
        raise InputError(f"checkpoint {path} is damaged ({error}); copy it again") from None
    stream.seek(0)
    try:
        content = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # hostile or damaged bytes can raise anything inside the unpickler
        said = _ESCAPES.sub("", str(error)).strip() or type(error).__name__
        if objects := _objects(stream, said):
            raise InputError(
                f"{path} holds {', '.join(objects)} beside its weights, and fmtool builds no "
                "objects; where you trust the file, save its weights alone: torch.save("
                'torch.load(FILE, weights_only=False)["state_dict"], "weights.pt"), or of a whole '
                "network its .state_dict()"
            ) from None
        raise InputError(
            f"{path} is not a checkpoint that torch can read as plain weights "
            f"({said.splitlines()[0]:.120}); it is damaged, of another kind, or holds code, which "
            "fmtool does not run"
        ) from None
    return _state(content, path)


def _objects(stream: IO[bytes], said: str) -> list[str]:
    """The first classes that a torch file asks for; none is built. Of a hostile file, none."""
    stream.seek(0)
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(stream)  # type: ignore[arg-type]
    except Exception:  # damaged, or the format before torch 1.6: the error tells one
        found = _ASKED.findall(said)
    if any(name.partition(".")[0] in _ACTIVE for name in found):
        return []  # no way out is told for what acts when it is read
    return sorted(name for name in found if _GLOBAL.fullmatch(name))[:3]


def _state(content: object, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not isinstance(content, Mapping):
        raise InputError(f"checkpoint {path} holds a {type(content).__name__}, not named weights")
    state = next((content[key] for key in _STATES if key in content), None)
    if state is None:  # bare, or of several networks by their names: student, teacher
        state = dict(content)
        for name, inner in content.items():
            if isinstance(inner, Mapping):
                state |= {f"{name}.{below}": value for below, value in inner.items()}
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"checkpoint {path} holds no named weights (no {' or '.join(_STATES)})")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    facts = {"epoch": content.get("epoch"), "optimizer": content.get("optimizer_state_dict")}
    kinds = {"epoch": int, "optimizer": Mapping}
    return tensors, {name: v for name, v in facts.items() if isinstance(v, kinds[name])}


def _check_size(size: int, path: Path) -> None:
    if size > MAX_BYTES:
        raise InputError(f"{path} unpacks to more than {MAX_BYTES / 2**30:g} GiB: refused")
