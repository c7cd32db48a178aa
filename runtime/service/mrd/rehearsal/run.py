"""A rehearsal from a scan to what a console would store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from fmtool.errors import InputError, UsageError
from runtime import scan as scans
from runtime.report.publish import check_writable
from runtime.scan.dicom.library import pydicom
from runtime.service.mrd import parameters, wire
from runtime.service.mrd.rehearsal import client, dicom, files, scanner
from runtime.service.mrd.wire import MrdMessage, Tag


def rehearse(
    source: Path, out: Path, address: tuple[str, int], on: Sequence[str], keep: Path | None
) -> list[str]:
    """Send a scan, keep what comes back in `out`: a folder of DICOM for each series, `texts.txt`.

    Args:
        source: what `runtime.scan.read` takes, or an MRD file (.h5).
        address: of the server.
        on: parameters to switch on.
        keep: an MRD file for what is sent; what comes back is kept beside it, as NAME-back.h5.

    Returns:
        What was said, and what came, in lines.

    Raises:
        UsageError: for a parameter that there is none of.
        InputError: if the scan cannot be read, nobody listens, or no CLOSE came.
        CapabilityError: if pydicom, or ismrmrd where files are asked for, is not installed.
    """
    for name in on:
        if name not in parameters.DEFAULTS:
            known = ", ".join(parameters.DEFAULTS)
            raise UsageError(f"there is no parameter {name!r}; there are {known}")
    pydicom()
    sent = messages(source, on)
    check_writable(out)
    if keep is not None:
        files.write(keep, sent, scanner.header())
    found = client.converse(address, sent)
    if found.closes != 1:
        raise InputError(f"the server sent {found.closes} CLOSE, expected one; see its log")
    made = dicom.write(found.images, out, out.name)
    if keep is not None:
        files.write(keep.with_name(f"{keep.stem}-back.h5"), found.images, scanner.header())
    (out / "texts.txt").write_text("\n".join(found.texts) + "\n", encoding="utf-8")
    series = len({file.parent for file in made})
    came = f"{len(found.images)} images came back, {series} series; {len(made)} DICOM files"
    return [*found.texts, f"{came} in {out}; {found.answer_s:.1f} s from the last image to CLOSE"]


def messages(source: Path, on: Sequence[str] = ()) -> list[MrdMessage]:
    """What is sent of a scan, with parameters switched on as a scanner would say so."""
    is_file = source.suffix == ".h5"
    sent = files.read(source) if is_file else scanner.stream(scans.read(source))
    said = json.dumps({"version": "1.1.0", "parameters": dict.fromkeys(on, "true")})
    first = next(n for n, message in enumerate(sent) if message.kind == Tag.IMAGE)
    return [*sent[:first], *[wire.text_message(said)] * bool(on), *sent[first:]]
