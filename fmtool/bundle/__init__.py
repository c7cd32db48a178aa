"""Bundle: a folder (or a zip of one) with everything an edge machine needs, and nothing else.

`NAME.fmtool/manifest.json` lists every other file with its SHA-256 and size, `manifest.sha256` is
the manifest's own; all are checked on open. A bundle is plain data: JSON, ONNX, NIfTI, Markdown;
no pickle and no code.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmtool import plain_json
from fmtool.bundle import format as bundle_format
from fmtool.bundle import graph, seal
from fmtool.bundle import manifest as manifests
from fmtool.bundle.format import MANIFEST, MAX_BYTES, inside
from fmtool.bundle.manifest import FileFacts, Manifest
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files
from fmtool.bundle.signing.minisign import PublicKey
from fmtool.bundle.zip import Zipped
from fmtool.errors import BundleError
from fmtool.files import open_regular
from fmtool.task import Task

__all__ = ["DEMO", "MANIFEST", "SUFFIX", "Bundle", "is_bundle", "open", "open_unsigned"]

SUFFIX = ".fmtool"
"""How a bundle's folder ends."""

DEMO = Path(__file__).parents[1] / "bundles" / "demo.fmtool"
"""The demonstration bundle that ships with fmtool and is the default."""


@dataclass
class Bundle:
    """An opened, verified bundle.

    Attributes:
        path: the folder its files are in.
        manifest: what it says of itself.
        digest: SHA-256 of the manifest, which pins every file.
    """

    path: Path
    manifest: Manifest
    digest: str
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return self.manifest.name

    @property
    def tasks(self) -> dict[str, Task]:
        """What its heads predict, by name, in the manifest's order."""
        return {name: entry.task for name, entry in self.manifest.tasks.items()}

    @property
    def template(self) -> Path:
        """The registration's template, which is also the self-test's volume."""
        return self.file(self.manifest.template)

    @property
    def preparation(self) -> str:
        """SHA-256 of what it prepares scans with; bundles of one are prepared for alike."""
        parts = self.manifest.strip.locate, self.manifest.strip.segment, self.manifest.template
        digests = (self.manifest.files[name].sha256 for name in parts)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @property
    def zipped(self) -> bool:
        """Whether it was unpacked from a zip, to a folder that goes when it is closed."""
        return self._folder is not None

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files.

        Raises:
            BundleError: if the manifest does not list it.
        """
        if name not in self.manifest.files:
            raise BundleError(f"bundle {self.path} has no file {name!r}")
        return self.path / name

    def read(self, name: str) -> bytes:
        """The bytes of one of the bundle's files, which are those that were verified.

        Who computes with a file takes these: what stands at its path may have changed since.

        Raises:
            BundleError: if the manifest does not list it, or it has changed.
        """
        self.file(name)
        return _verified(self.path, name, self.manifest.files[name])

    def graph(self, precision: str = "float32") -> bytes:
        """The bytes of `model`, as `read` gives them.

        Raises:
            BundleError: see `model` and `read`.
        """
        return self.read(self.model(precision).relative_to(self.path).as_posix())

    def model(self, precision: str = "float32") -> Path:
        """The ONNX model of `precision` ("float32", "float16" or "int8").

        Raises:
            BundleError: if the bundle holds none.
        """
        name = self.manifest.model.get(precision)
        if name is None:
            option = "int8" if precision == "int8" else "fp16"
            raise BundleError(
                f"bundle {self.path} holds no {precision} model; "
                f"`fmtool export --{option}` adds one"
            )
        return self.file(name)

    def evidence(self, task: str) -> dict[str, Any]:
        """How well the head of `task` did, and against what; see `training.evidence`.

        Raises:
            BundleError: if the bundle has no such task.
        """
        if task not in self.manifest.tasks:
            raise BundleError(
                f"bundle {self.path} has no task {task!r}; it has {', '.join(self.tasks)}"
            )
        return dict(self.manifest.tasks[task].evidence)

    def thresholds(self, task: str) -> Sequence[float] | None:
        """Those on the score of an ordinal head; None of any other."""
        return self.manifest.tasks[task].thresholds

    def check_parent(self, other: Bundle) -> None:
        """See that `other` is the very bundle that this one was made from.

        Raises:
            BundleError: if it is another, or was changed since; or if this one is nobody's child.
        """
        parent = self.manifest.parent
        if parent is None:
            raise BundleError(f"bundle {self.path} is no child of another")
        if parent.digest != other.digest:
            raise BundleError(
                f"bundle {self.path} was made from {parent.name!r:.60} of the digest "
                f"{parent.digest[:12]}, and {other.path} has {other.digest[:12]}: it is another, "
                "or was changed since"
            )

    def close(self) -> None:
        """Remove what a zipped bundle was unpacked to."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def is_bundle(path: Path) -> bool:
    """Whether a path names a bundle rather than an encoder's folder or checkpoint."""
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return any(
                name.endswith(MANIFEST) and name.count("/") < 2 for name in packed.namelist()
            )
    return (path / MANIFEST).is_file() or path.suffix == SUFFIX


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

    Example:
        >>> from fmtool import bundle
        >>> with bundle.open() as opened:
        ...     opened.name, list(opened.tasks), opened.model().name
        ('demo', ['age', 'sex'], 'model.onnx')
    """
    source = Path(path) if path is not None else DEMO
    if not source.exists():
        raise BundleError(f"bundle {source} does not exist")
    keys = key_files.trusted()
    if source.is_dir():
        return _open_signed(source, keys)
    folder = tempfile.TemporaryDirectory(prefix="fmtool-bundle-")
    try:
        bundle = _open_zip(source, Path(folder.name), keys)
    except BaseException:
        folder.cleanup()
        raise
    bundle._folder = folder
    return bundle


def open_unsigned(path: Path) -> Bundle:
    """A bundle's folder as `open` opens it, signed or not: for who signs it, and for who writes it.

    Raises:
        BundleError: see `open`.
    """
    if not path.is_dir():
        raise BundleError(f"bundle {path} does not exist or is not a folder")
    return _open_folder(path)


def _open_zip(source: Path, folder: Path, keys: Sequence[PublicKey] | None) -> Bundle:
    """A zipped bundle: the manifest and its signature are checked before the rest is unpacked."""
    with Zipped(source) as zipped:
        path = zipped.unpack(folder, (MANIFEST, seal.FILE, signature.SIGNATURE))
        if keys is not None:
            signature.require(path / MANIFEST, keys)
        sizes = {name: facts.bytes for name, facts in _manifest(path)[0].files.items()}
        zipped.unpack(folder, sizes, sizes)
    return _open_signed(path, keys)


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
    manifest, digest = _manifest(path)
    _check(path, manifest)
    return Bundle(path, manifest, digest)


def _manifest(path: Path) -> tuple[Manifest, str]:
    """The manifest of a bundle's folder, checked field by field, and its SHA-256."""
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
        data = plain_json.loads(raw)
    except ValueError as error:
        raise BundleError(f"{manifest_path} is not JSON ({error}); the bundle is damaged") from None
    found = data.get("format") if isinstance(data, dict) else None
    if not bundle_format.is_read(found):
        raise BundleError(
            f"{path} has bundle format {found!r:.60}, and this fmtool reads {bundle_format.FORMAT} "
            "and others of its major version; use the fmtool that wrote the bundle, or export it "
            "anew"
        )
    try:
        return Manifest.from_dict(data), hashlib.sha256(raw).hexdigest()
    except ValueError as error:
        raise BundleError(f"{manifest_path} is damaged: {error}; copy the bundle anew") from None


def _verified(folder: Path, name: str, facts: FileFacts) -> bytes:
    """The bytes of a file that are what the manifest says."""
    try:
        with open_regular(folder / inside(name)) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != facts.bytes or size > MAX_BYTES:
                raise BundleError(
                    f"bundle {folder} is damaged: {name} has {size} bytes, not {facts.bytes}"
                )
            data = stream.read(size)
    except FileNotFoundError:
        raise BundleError(f"bundle {folder} is damaged: {name} is missing") from None
    except OSError as error:
        raise BundleError(
            f"bundle {folder}: {name} cannot be read ({error.strerror}); copy the bundle anew"
        ) from None
    if hashlib.sha256(data).hexdigest() != facts.sha256:
        raise BundleError(
            f"bundle {folder} is damaged: {name} does not match its SHA-256; copy the bundle anew"
        )
    return data


def _check(folder: Path, manifest: Manifest) -> None:
    """Verify every file, and that no graph takes anything from outside its own."""
    graphs = {*manifest.model.values(), manifest.strip.locate, manifest.strip.segment}
    for name, facts in manifest.files.items():
        data = _verified(folder, name, facts)
        if name in graphs or name.endswith(".onnx"):
            try:
                graph.check(data)
            except ValueError as error:
                raise BundleError(
                    f"bundle {folder}: {name} is refused, for {error}; export the bundle anew"
                ) from None
