"""A zipped bundle, unpacked: no path leaves the folder, no size and no method surprises."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from fmtool.bundle.format import MANIFEST, MAX_BYTES, inside
from fmtool.errors import BundleError
from fmtool.files import DAMAGED

_MOST_FILES = 10_000


def unzip(source: Path, folder: Path) -> Path:
    """The bundle's folder in `folder`, which is empty before.

    Raises:
        BundleError: if it is no zip of one bundle, or cannot be unpacked.
    """
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
                target = folder / inside(member.filename)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except DAMAGED as error:
        what = str(error) if str(error).isprintable() else "its list of files is damaged"
        raise BundleError(
            f"{source} is neither a bundle's folder nor a zip of one ({what:.200}); copy it anew"
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
