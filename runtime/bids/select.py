"""Which heads of a BIDS data set are to be answered: by participant, session and filter file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtool.errors import InputError, UsageError
from runtime.bids.names import HeadName, label
from runtime.scan.bids import DESCRIPTION, heads, is_dataset

_ABSENT, _PRESENT = (None, "Query.NONE"), ("*", "Query.ANY")


def read_filter(path: Path) -> dict[str, Any]:
    """The "t1w" part of a filter file, as fMRIPrep and its kin read one; empty if it has none.

    Raises:
        InputError: if it is no such file, or names what is no entity.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check it") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is no JSON; write one object of filters by modality") from None
    part = told.get("t1w", {}) if isinstance(told, dict) else None
    if not isinstance(part, dict):
        raise InputError(
            f'{path} is no filter file; expected an object such as {{"t1w": {{"run": 1}}}}'
        )
    probe = HeadName("", {}, "", "")
    for key, wanted in part.items():
        for one in wanted if isinstance(wanted, list) else [wanted]:
            if not (one is None or isinstance(one, str | int)) or isinstance(one, bool):
                raise InputError(f"{path}: {key} must be a label, a number, null or a list of them")
        try:
            probe.value(key)
        except KeyError:
            raise InputError(f"{path}: BIDS has no entity {key!r}; see its specification") from None
    return part


def select(
    top: Path,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    filters: Mapping[str, Any] | None = None,
) -> list[Path]:
    """The heads, in the order of their paths.

    Args:
        top: the data set.
        participants: labels, with or without "sub-"; all if empty.
        sessions: labels, with or without "ses-"; all if empty.
        filters: of `read_filter`.

    Raises:
        InputError: if it is no data set, nothing is left, or two heads' derivatives would have the
            same name.
        UsageError: for what is no label, or a participant or session that the data set lacks.
    """
    if not (top.is_dir() and is_dataset(top)):
        raise InputError(f"{top} is no BIDS data set; it needs {DESCRIPTION} and sub-*/anat")
    found = {path: HeadName.of(path.relative_to(top)) for path in heads(top) if path.suffix}
    for entity, named in (("sub", participants), ("ses", sessions)):
        there = {name.entities.get(entity) for name in found.values()} - {None}
        wanted = {_checked(text, entity) for text in named}
        if lacking := sorted(wanted - there):
            raise UsageError(
                f"{top} has no T1w or UNIT1 image of {entity}-{lacking[0]}; it has "
                f"{', '.join(sorted(f'{entity}-{one}' for one in there)[:20]) or 'none'}"
            )
        if wanted:
            found = {p: n for p, n in found.items() if n.entities.get(entity) in wanted}
    found = {p: n for p, n in found.items() if _passes(n, filters or {})}
    if not found:
        raise InputError(f"{top} has no T1w or UNIT1 image of that choice; ask for less")
    made: dict[str, Path] = {}
    for path, name in found.items():
        other = made.setdefault(name.made("anat", name.described("brain")), path)
        if other != path:
            raise InputError(
                f"{other} and {path} would have derivatives of one name; leave one out by "
                ".bidsignore or a filter file"
            )
    return list(found)


def _checked(text: str, entity: str) -> str:
    found = label(text, entity)
    if found is None:
        raise UsageError(f"{text!r} is no label of BIDS; write letters and digits, such as 01")
    return found


def _passes(name: HeadName, filters: Mapping[str, Any]) -> bool:
    return all(
        any(_is(name.value(key), one) for one in (wanted if isinstance(wanted, list) else [wanted]))
        for key, wanted in filters.items()
    )


def _is(value: str | None, wanted: Any) -> bool:
    """Numbers are compared as such: run 1 is run-01."""
    if wanted in _ABSENT:
        return value is None
    if wanted in _PRESENT:
        return value is not None
    if value is None:
        return False
    if isinstance(wanted, int) or (wanted.isdecimal() and value.isdecimal()):
        return value.isdecimal() and int(value) == int(wanted)
    return bool(value == wanted)
