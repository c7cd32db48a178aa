"""A BIDS data set: which of its files are heads as they were scanned, T1-weighted.

Source: the Brain Imaging Data Structure's names of files, and git's rules for `.bidsignore`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

DESCRIPTION = "dataset_description.json"
PARTICIPANTS = "participants.tsv"
_ENDINGS = (".nii", ".nii.gz", ".nii.bz2", ".nii.zst")
_SUFFIXES = ("T1w", "UNIT1")
_OWN_SPACES = ("orig", "scanner", "individual", "T1w")
_MOST_RULES = 1 << 20  # characters
_FOLDERS = "(?:.*/)?"
_NO_MAGNITUDE = ("phase", "real", "imag")


def is_dataset(top: Path) -> bool:
    """Whether a folder is a data set; a table of participants beside flat files is none."""
    if (top / DESCRIPTION).is_file():
        return True
    anatomical = ("sub-*/anat", "sub-*/ses-*/anat")
    return (top / PARTICIPANTS).is_file() and any(any(top.glob(each)) for each in anatomical)


def heads(top: Path) -> list[Path]:
    """The T1w and UNIT1 files of `sub-*/[ses-*/]anat`, in the order of their paths.

    Not those in another space than the scan's own, phase, real or imaginary parts, single inversion
    times, later echoes, or what `.bidsignore` names. A link to nothing and a folder that cannot be
    listed are among them: reading them says why.
    """
    ignored = _ignored(top)
    found: dict[Path, tuple[int, Path]] = {}
    for path, is_file in _anatomical(top):
        number = echo(path.name) if is_file else 0
        if number is None or ignored(path.relative_to(top).as_posix()):
            continue
        key = path.with_name(re.sub(r"_echo-\d+", "", path.name))
        found[key] = min(found.get(key, (number, path)), (number, path))
    return sorted(path for _, path in found.values())


def _anatomical(top: Path) -> Iterator[tuple[Path, bool]]:
    """What lies in the anatomical folders, with True, and folders that cannot be listed."""
    unlisted: set[Path] = set()

    def inside(folder: Path) -> list[Path]:
        try:
            return sorted(Path(entry.path) for entry in os.scandir(folder))
        except OSError:
            unlisted.add(folder)
            return []

    def below(folder: Path, start: str) -> list[Path]:
        return [p for p in inside(folder) if p.name.startswith(start) and not os.path.isfile(p)]

    for subject in below(top, "sub-"):
        for place in [subject, *below(subject, "ses-")]:
            for folder in below(place, "anat"):
                yield from ((path, True) for path in inside(folder))
    yield from ((folder, False) for folder in unlisted)


def echo(name: str) -> int | None:
    """The echo of a native T1-weighted image, 0 if its name has none; None for other files."""
    ending = next((end for end in _ENDINGS if name.endswith(end)), None)
    if ending is None:
        return None
    *pairs, suffix = name.removesuffix(ending).split("_")
    entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
    if (
        suffix not in _SUFFIXES
        or entities.get("space", _OWN_SPACES[0]) not in _OWN_SPACES
        or entities.get("part") in _NO_MAGNITUDE
        or "inv" in entities
    ):
        return None
    number = entities.get("echo", "0")
    return int(number) if number.isdecimal() else 0


def _ignored(top: Path) -> Callable[[str], bool]:
    """Whether `.bidsignore` names a path, relative to `top`; the last rule that fits holds."""
    try:
        with (top / ".bidsignore").open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MOST_RULES).splitlines()
    except OSError:
        lines = []
    rules = [rule for line in lines if (rule := _rule(line.rstrip()))]

    def named(path: str) -> bool:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            said = False
            for pattern, of_folders, kept in rules:
                if (depth < len(parts) or not of_folders) and pattern.fullmatch(
                    "/".join(parts[:depth])
                ):
                    said = not kept
            if said:  # nothing in an ignored folder comes back
                return True
        return False

    return named


def _rule(line: str) -> tuple[re.Pattern[str], bool, bool] | None:
    """A line's pattern, whether it is of folders only, and whether it takes others' word back."""
    kept = line.startswith("!")
    text = line[kept:]
    of_folders, text = text.endswith("/"), text.removesuffix("/")
    if not text or text.startswith("#"):
        return None
    anchored, text = "/" in text, text.removeprefix("/")
    pieces = re.findall(r"\*\*/|/\*\*$|\*+|\?|\[[^]]+\]|\\?.", text)
    made = "" if anchored else _FOLDERS
    stars = [at for at, piece in enumerate(pieces) if "*" in piece and piece != "\\*"]
    for start, end in zip([-1, *stars], [*stars, len(pieces)], strict=True):
        fixed = "".join(map(_class_or_letter, pieces[start + 1 : end]))
        wild = pieces[start] if start >= 0 else ""
        if not wild.strip("*") and wild and end < len(pieces) and not pieces[end].strip("*"):
            made += f"(?>[^/]*?{fixed})"  # the first place will do: no time is lost on the others
        else:
            made += {"": "", "**/": _FOLDERS, "/**": "/.*"}.get(wild, "[^/]*") + fixed
    try:
        return re.compile(made), of_folders, kept
    except re.error:  # such as [z-a], which fits nothing
        return None


def _class_or_letter(piece: str) -> str:
    if piece == "?":
        return "[^/]"
    if len(piece) > 2 and piece[0] == "[":
        return "(?!/)[" + piece[1:].replace("\\", "\\\\").replace("!", "^", piece[1] == "!")
    return re.escape(piece[-1])
