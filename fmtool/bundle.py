"""Bundle: a folder (or a zip of one) with everything an edge machine needs, and nothing else.

`NAME.fmtool/manifest.json` lists every other file with its SHA-256 and size, `manifest.sha256` is
the manifest's own; all are checked on open. A bundle is plain data: JSON, ONNX, NIfTI, Markdown;
no pickle and no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any

from fmtool import bundle_format, disk, plain_json, seal, zips
from fmtool import manifest as manifests
from fmtool.errors import BundleError
from fmtool.signing import bundle as signature
from fmtool.signing import key_files
from fmtool.signing.minisign import PublicKey
from fmtool.task import Task

MANIFEST = "manifest.json"
MAX_BYTES = 4 << 30
"""No file of a bundle, and no unzipped bundle, may be larger: checked before reading."""

DEMO = Path(__file__).parent / "bundles" / "demo.fmtool"
"""The demonstration bundle that ships with fmtool and is the default."""

_MOST_FILES = 10_000


@dataclass
class Bundle:
    """An opened, verified bundle.

    Attributes:
        path: the folder its files are in.
        manifest: the parsed manifest, in today's format; ARCHITECTURE.md has its fields.
        digest: SHA-256 of the manifest, which pins every file.
        tasks: what its heads predict, by name, in the manifest's order.
    """

    path: Path
    manifest: dict[str, Any]
    digest: str
    tasks: dict[str, Task]
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return str(self.manifest["name"])

    @property
    def zipped(self) -> bool:
        """Whether it was unpacked from a zip, to a folder that goes when it is closed."""
        return self._folder is not None

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files.

        Raises:
            BundleError: if the manifest does not list it.
        """
        if name not in self.manifest["files"]:
            raise BundleError(f"bundle {self.path} has no file {name!r}")
        return self.path / name

    def model(self, precision: str = "float32") -> Path:
        """The ONNX model of `precision` ("float32", "float16" or "int8")."""
        name = self.manifest["model"].get(precision)
        if name is None:
            option = "--int8" if precision == "int8" else "--fp16"
            raise BundleError(
                f"bundle {self.path} holds no {precision} model; `fmtool export {option}` adds one"
            )
        return self.file(name)

    def evidence(self, task: str) -> dict[str, Any]:
        """How well the head of `task` did, and against what; see `training.evaluate`."""
        for entry in self.manifest["tasks"]:
            if entry["name"] == task:
                return dict(entry.get("evidence", {}))
        raise BundleError(
            f"bundle {self.path} has no task {task!r}; it has {', '.join(self.tasks)}"
        )

    def close(self) -> None:
        """Remove what a zipped bundle was unpacked to."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open(path: str | os.PathLike[str] | None = None) -> Bundle:
    """Open a bundle and verify every file against its manifest, and that against its signature.

    A signature is required where the environment variable `FMTOOL_TRUSTED_KEYS` names whose: of
    every bundle, the demonstration bundle too.

    Args:
        path: a bundle's folder or a zip of one; the demonstration bundle when absent.

    Raises:
        BundleError: if it is missing, of another format, any byte differs from the manifest, or
            a signature is required and it has none.
        InputError: if the keys that are to be trusted cannot be read.
        CapabilityError: if a signature is required and `cryptography` is not installed.
    """
    source = Path(path) if path is not None else DEMO
    if not source.exists():
        raise BundleError(f"bundle {source} does not exist")
    keys = key_files.trusted()
    if source.is_dir():
        return _open_signed(source, keys)
    folder = tempfile.TemporaryDirectory(prefix="fmtool-bundle-")
    try:
        bundle = _open_signed(_unzip(source, Path(folder.name)), keys)
    except BaseException:
        folder.cleanup()
        raise
    bundle._folder = folder
    return bundle


def open_unsigned(path: Path) -> Bundle:
    """A bundle's folder as `open` opens it, signed or not: for who signs it.

    Raises:
        BundleError: see `open`.
    """
    if not path.is_dir():
        raise BundleError(f"bundle {path} does not exist or is not a folder")
    return _open_folder(path)


def _open_signed(path: Path, keys: Sequence[PublicKey] | None) -> Bundle:
    """A bundle's folder; the signature is checked before anything in the manifest is read."""
    if keys is None:
        return _open_folder(path)
    _, digest = signature.require(path / MANIFEST, keys)
    bundle = _open_folder(path)
    if bundle.digest != digest:
        raise BundleError(f"bundle {path} was changed while it was opened; open it again")
    return bundle


def _open_folder(path: Path) -> Bundle:
    manifest_path = path / MANIFEST
    if not manifest_path.is_file():
        raise BundleError(f"{path} is not a bundle: it holds no {MANIFEST}")
    if manifest_path.stat().st_size > manifests.MAX_BYTES:
        raise BundleError(
            f"{manifest_path} is larger than {manifests.MAX_BYTES >> 20} MiB: refused"
        )
    raw = manifest_path.read_bytes()
    seal.check(manifest_path, raw)
    try:
        manifest = plain_json.loads(raw)
    except ValueError as error:
        raise BundleError(f"{manifest_path} is not JSON ({error}); the bundle is damaged") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not bundle_format.is_read(found):
        raise BundleError(
            f"{path} has bundle format {found!r:.60}, and this fmtool reads {bundle_format.FORMAT} "
            "and others of its major version; use the fmtool that wrote the bundle, or export it "
            "anew"
        )
    try:
        tasks = manifests.check(manifest)
    except ValueError as error:
        raise BundleError(f"{manifest_path} is damaged: {error}; copy the bundle anew") from None
    for name, facts in manifest["files"].items():
        _verify_file(path, name, facts)
    read = bundle_format.migrated(manifest)
    return Bundle(path, read, hashlib.sha256(raw).hexdigest(), tasks)


def _verify_file(folder: Path, name: str, facts: dict[str, Any]) -> None:
    file = folder / _safe(name)
    if not file.is_file():
        raise BundleError(f"bundle {folder} is damaged: {name} is missing")
    size = file.stat().st_size
    if size != facts["bytes"] or size > MAX_BYTES:
        raise BundleError(
            f"bundle {folder} is damaged: {name} has {size} bytes, not {facts['bytes']}"
        )
    if sha256(file) != facts["sha256"]:
        raise BundleError(
            f"bundle {folder} is damaged: {name} does not match its SHA-256; copy the bundle anew"
        )


def _safe(name: str) -> PurePosixPath:
    """`name` as a relative path that stays inside its folder."""
    path = PurePosixPath(name)
    fine = path.parts and not path.is_absolute() and ".." not in path.parts
    if not fine or "\\" in name or not name.isprintable():
        raise BundleError(f"a bundle may not name the path {name!r:.60}")
    return path


def _unzip(source: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
            if len(members) > _MOST_FILES:
                raise BundleError(f"{source} holds more than {_MOST_FILES} files: refused")
            if sum(m.file_size for m in members) > MAX_BYTES:
                raise BundleError(f"{source} unpacks to more than {MAX_BYTES >> 30} GiB: refused")
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise BundleError(f"{source} is packed by a method that no bundle is packed by")
                target = folder / _safe(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except zips.DAMAGED as error:
        what = str(error) if str(error).isprintable() else "its list of files is damaged"
        raise BundleError(
            f"{source} is neither a bundle's folder nor a zip of one ({what:.200})"
        ) from None
    except OSError as error:
        raise BundleError(
            f"{source} cannot be unpacked ({error.strerror or 'damaged'}); copy it again, "
            f"and see that there is space in {folder.parent}"
        ) from None
    manifests = sorted(folder.glob(MANIFEST)) + sorted(folder.glob(f"*/{MANIFEST}"))
    if len(manifests) != 1:
        raise BundleError(f"{source} holds {len(manifests)} {MANIFEST} files; a bundle has one")
    return manifests[0].parent


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def claim(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """`path`, if a bundle may be written there: to be asked before minutes of work, not after.

    Raises:
        BundleError: if its name or its folder will not do, if it exists and `overwrite` is false,
            or if what exists is not a bundle.
    """
    target = Path(path)
    if target.suffix != ".fmtool":
        raise BundleError(f"a bundle's name ends in .fmtool, not {target.name!r}")
    try:
        if target.exists() and not overwrite:
            raise BundleError(f"{target} exists; name another bundle, or say --overwrite")
        if target.exists() and not (target / MANIFEST).is_file():
            raise BundleError(f"{target} is not a bundle and is left as it is")
        disk.probe(target)
    except OSError as error:
        raise BundleError(
            f"cannot write {target} ({error.strerror}); name a place that you may write to"
        ) from None
    return target


def write(
    path: str | os.PathLike[str],
    manifest: dict[str, Any],
    files: dict[str, Path | bytes],
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle's folder in one step: complete, or not at all.

    Args:
        path: the folder to make; its name ends in `.fmtool`.
        manifest: every field but `format` and `files`, which this function fills in.
        files: name inside the bundle -> a file to copy, or its bytes.
        overwrite: replace a bundle that is already there.

    Raises:
        BundleError: if `path` cannot be written; see `claim`. What was there before stays.
    """
    target = claim(path, overwrite)
    with disk.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=disk.SCRATCH, dir=target.parent) as scratch:
            staged = Path(scratch) / disk.STAGED
            _fill(staged, manifest, files)
            _open_folder(staged)  # what is written must be readable before it replaces anything
            disk.put(staged, target)
    return _open_folder(target)


def _fill(staged: Path, manifest: dict[str, Any], files: dict[str, Path | bytes]) -> None:
    """Copy a bundle's files, then write the manifest: without it, the folder is no bundle."""
    listed = {}
    for name, content in sorted(files.items()):
        file = staged / _safe(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
        listed[name] = {"sha256": sha256(file), "bytes": file.stat().st_size}
    current = {"format": bundle_format.FORMAT}
    whole = {**current, **manifest, **current, "files": listed}  # whatever it was read from
    text = json.dumps(whole, indent=1, allow_nan=False)
    (staged / seal.FILE).write_bytes(seal.of(f"{text}\n".encode(), MANIFEST))
    (staged / MANIFEST).write_text(text + "\n", encoding="utf-8")
