"""What a project's file says of an export, where the command line does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.parts.standing import Standing
from export.targets import TARGETS
from fmtool.errors import InputError
from fmtool.files import sha256
from fmtool.project import Project


def targets(plan: Project, asked: Mapping[str, bool | Path | None]) -> dict[str, Any]:
    """What to make, by the targets' names: what is asked for, and else what the file says."""
    found: dict[str, Any] = {}
    for target in TARGETS:
        if target.option:
            said = getattr(plan.export, target.name)
            found[target.name] = asked[target.name] or (
                plan.folder / said if said and target.where == "DIR" else said
            )
    return found


def trained(plan: Project) -> list[Path]:
    """The files of the project's heads.

    Raises:
        InputError: if one, or the encoder, is not there yet.
    """
    missing = [path for path in (plan.encoder, *plan.head_files) if not path.exists()]
    if missing:
        raise InputError(f"{missing[0]} is not there yet: `fmtool train` makes what is missing")
    return plan.head_files


def standing(
    plan: Project,
    heads: Sequence[Path],
    precisions: Sequence[str],
    batches: Sequence[int],
    calibration: Path | None,
    preprocessing: Path | None,
    site: str | None,
) -> Standing:
    """The project's bundle, if it is there, and what it would be made from now."""
    from fmtool import bundle as bundles
    from training.encoders import load_checkpoint

    with bundles.open(preprocessing) as opened:
        parts = opened.digest
    inputs = {
        "encoder": load_checkpoint(plan.encoder)[1]["sha256"],
        "heads": [sha256(path) for path in heads],
        "models": [name for name in ("fp16", "int8") if name in precisions],
        "batches": list(batches),
        "preprocessing": parts,
        "calibration": None if calibration is None else str(calibration.absolute()),
        **({} if site is None else {"site": site}),
    }
    return Standing(plan.bundle, plan.runs / "export.json", inputs)
