"""A zipped bundle, unpacked: no path leaves the folder, no size, ratio and method surprises."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fmtool.bundle import manifest as manifests
from fmtool.bundle.format import MANIFEST, MAX_BYTES, inside
from fmtool.errors import BundleError
from fmtool.files import DAMAGED

_MOST_FILES = 10_000
_MOST_RATIO = 50  # unpacked to packed; weights hardly shrink, text to a tenth
_RATIO_FROM_BYTES = 16 << 20


class Zipped:
    """A zip of one bundle, of which parts are unpacked; use it as a context manager.

    Raises:
        BundleError: if it is no zip of one bundle.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        with self._said():
            self._archive = zipfile.ZipFile(source)
            try:
                self._members = self._checked(source.stat().st_size)
            except BaseException:
                self._archive.close()
                raise

    def __enter__(self) -> Zipped:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def unpack(
        self, folder: Path, names: Iterable[str], sizes: Mapping[str, int] | None = None
    ) -> Path:
        """Unpack files of the bundle that are there; the folder that the bundle is in.

        Args:
            folder: to unpack to.
            names: of the files, as the manifest has them.
            sizes: how many bytes each must have; without, as many as a manifest may.

        Raises:
            BundleError: if one cannot be unpacked, or is of another size.
        """
        top = next(p.parent for p in self._members if _is_manifest(p))
        with self._said():
            for name in names:
                member = self._members.get(top / inside(name))
                if member is None:
                    continue  # who opens the folder says what is missing
                most = manifests.MAX_BYTES if sizes is None else sizes[name]
                if member.file_size > most or (sizes and member.file_size != most):
                    raise BundleError(
                        f"{self._source} holds {name} of {member.file_size} bytes, not {most}; "
                        "copy it anew"
                    )
                target = folder / top / inside(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._archive.open(member) as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)
        return folder / top

    def _checked(self, packed: int) -> dict[PurePosixPath, zipfile.ZipInfo]:
        """The files by their paths, once what they claim is known to be bearable."""
        source = self._source
        members = [m for m in self._archive.infolist() if not m.filename.endswith("/")]
        if len(members) > _MOST_FILES:
            raise BundleError(f"{source} holds more than {_MOST_FILES} files: refused")
        total = sum(m.file_size for m in members)
        if total > MAX_BYTES:
            raise BundleError(f"{source} unpacks to more than {MAX_BYTES >> 30} GiB: refused")
        if total > max(_RATIO_FROM_BYTES, _MOST_RATIO * packed):
            raise BundleError(
                f"{source} unpacks to more than {_MOST_RATIO} times its size, as no bundle does: "
                "refused"
            )
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BundleError(f"{source} is packed by a method that no bundle is packed by")
        found = {inside(member.filename): member for member in members}
        count = sum(map(_is_manifest, found))
        if count != 1 or len(found) != len(members):
            raise BundleError(f"{source} holds {count} {MANIFEST} files; a bundle has one")
        return found

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Turn what damaged archives raise into one sentence."""
        source = self._source
        try:
            yield
        except DAMAGED as error:
            what = str(error) if str(error).isprintable() else "its list of files is damaged"
            raise BundleError(
                f"{source} is neither a bundle's folder nor a zip of one ({what:.200}); copy it "
                "anew"
            ) from None
        except OSError as error:
            raise BundleError(
                f"{source} cannot be unpacked ({error.strerror or 'damaged'}); copy it again, "
                "and see that there is space for it"
            ) from None


def _is_manifest(path: PurePosixPath) -> bool:
    """Whether it is a bundle's manifest, at the top or one folder below."""
    return path.name == MANIFEST and len(path.parts) <= 2
