"""Both kinds of package from a bundle and an image's archive (`docker save`).

Older consoles (XA60, XA61) take a zip of the archive and the manual and read the image's label;
newer ones (from XA70) a zip that says in files what is in it, and check the image's digest.
"""

from __future__ import annotations

import json
import re
import tarfile
import uuid
import zipfile
from pathlib import Path
from typing import Any

from fmtool import __version__
from fmtool import bundle as bundles
from fmtool.errors import InputError
from fmtool.plain_json import loads
from runtime.report.publish import check_writable
from runtime.service.mrd.openrecon import manual
from runtime.service.mrd.openrecon.label import LABEL, NAME, VENDOR, label, specification
from runtime.system.atomic import write_bytes

BASE = f"OpenRecon_{VENDOR}_{NAME}_V{__version__}"
"""The name of the packages, of the archive and of the manual in the older one."""

IMAGE = f"local/{NAME}:latest"
"""What the container's image is called; of lower-case letters alone."""

_SPACE = uuid.UUID("6fd1a8a3-7f0c-5c1e-9f2b-1d0b7a0f5e11")
_MOST_JSON = 1 << 20


def write(folder: Path, bundle: Path | None, archive: Path | None) -> list[Path]:
    """Write what a container's build needs of a bundle, and the packages once there is an archive.

    Args:
        folder: made if it is absent.
        bundle: the demonstration bundle when None.
        archive: of the image, which was built with the label; without one no package is made.

    Returns:
        What was written: `label.txt`, `ApplSpec.json`, `Manual.pdf`, then the packages.

    Raises:
        BundleError: if the bundle cannot be used.
        InputError: if the archive is none, or was built with another label.
    """
    with bundles.open(bundle) as opened:
        manifest = opened.manifest
        found = specification(manifest.name, manifest.created[:10])
        said = manual.text(manifest.name, opened.digest, list(opened.tasks), manifest.limits)
    made = {
        "label.txt": f"{label(found)}\n".encode(),
        "ApplSpec.json": json.dumps(found, indent=1).encode() + b"\n",
        "Manual.pdf": manual.pdf(said),
    }
    properties = None if archive is None else _properties(archive, label(found))
    check_writable(folder)
    for name, data in made.items():
        write_bytes(folder / name, data)
    written = [folder / name for name in made]
    if archive is None or properties is None:
        return written
    older, newer = folder / f"{BASE}.zip", folder / f"{BASE}.OpenReconPackage.zip"
    _zip(older, {f"{BASE}.pdf": made["Manual.pdf"]}, {f"{BASE}.tar": archive})
    texts = {name: made[name] for name in ("ApplSpec.json", "Manual.pdf")}
    texts["Properties.json"] = json.dumps(properties, indent=1).encode() + b"\n"
    _zip(newer, texts, {"Container.tar": archive})
    return [*written, older, newer]


def _zip(path: Path, texts: dict[str, bytes], files: dict[str, Path]) -> None:
    """A zip, in place only once it is whole; consoles know plain deflation alone."""
    scratch = path.with_suffix(".part")
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as out:
            for name, data in texts.items():
                out.writestr(name, data)
            for name, file in files.items():
                out.write(file, name)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise InputError(f"cannot write {path} ({error.strerror}); name another folder") from None


def _properties(archive: Path, expected: str) -> dict[str, Any]:
    """What a newer console is told of the image in an archive."""
    try:
        with tarfile.open(archive) as held:
            (image,) = loads(_member(held, "manifest.json"))
            config = loads(_member(held, str(image["Config"])))
            tags = list(image.get("RepoTags") or ())
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{archive} is no archive of one image ({type(error).__name__}); make one with "
            "`docker save`"
        ) from None
    name, _, value = expected.partition("=")
    labels = (config.get("config") or {}).get("Labels") or {}
    if labels.get(name) != value:
        raise InputError(
            f"{archive} was not built with this bundle's label ({LABEL}); build it with the "
            "label.txt of this folder"
        )
    if config.get("architecture") != "amd64" or config.get("os") != "linux":
        raise InputError(f"{archive} is not for linux/amd64; build it with --platform linux/amd64")
    digest = re.sub(r"\.json$|^blobs/sha256/", "", str(image["Config"]))
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise InputError(f"{archive} does not name its image's digest; make it with `docker save`")
    if IMAGE not in tags:
        raise InputError(f"{archive} does not hold the image {IMAGE}; build it with that tag")
    return {
        "package_format": "Alpaca",
        "application_guid": str(uuid.uuid5(_SPACE, BASE)),
        "image_name": IMAGE,
        "execution_location": "local",
        "persistence": "permanent",
        "image_digest": digest,
    }


def _member(held: tarfile.TarFile, name: str) -> bytes:
    stream = held.extractfile(name)
    if stream is None:
        raise KeyError(name)
    with stream:
        data = stream.read(_MOST_JSON + 1)
    if len(data) > _MOST_JSON:
        raise ValueError("too large")
    return data
