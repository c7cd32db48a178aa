"""Tables that the code knows, put into the pages that name them when the site is built.

Among them every option of every verb, by name.

A page says where with a line of its own: `<!-- made: engines -->`.
"""

from __future__ import annotations

import re

from documentation import conformance
from documentation.verbs import options, table
from export.targets import TARGETS
from runtime.engines.table import markdown

HOMONYMS = {
    "--architecture": "those that can leave patches out, for mae; any, elsewhere",
    "--batch": "scans per step of a training; the sizes that a model is compared, built or "
    "measured at elsewhere",
    "--device": "a training says auto, cpu or cuda, and counts with --devices; a prediction may "
    "name one GPU",
    "--engine": "one for a prediction, several for a measurement",
    "--fhir": "a folder of reports; of the DICOM node, a FHIR server's address or a folder",
    "--head": "the heads of a bundle to export; the file that an import keeps one in",
    "--out": "a file where a verb makes one (a bundle, a head, a split, a report of bench), else a "
    "folder",
    "--plot": "the file of a measurement's picture; a training has its figures beside the head",
    "--precision": "what an engine computes in; for bench several; for a training, what its "
    "network's arithmetic is rounded to",
    "--seed": "must be said where data are made",
    "--state": "one to show; one or both to retry",
    "--task": "one to fit, of a built-in name or a file; several of a bundle's to show",
}
"""Names whose meaning depends on the verb, and how. Everything else means one thing."""


def by_name() -> str:
    """The table: a row per option and meaning, with the verbs that share it."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for option in sorted(options(), key=lambda option: (option.name, option.verb)):
        rows.setdefault(option.row, []).append(option.verb)
    return table(
        ("option", "what", "takes", "default", "of"),
        [
            (names, text, takes, default, ", ".join(verbs))
            for (names, takes, default, text), verbs in rows.items()
        ],
    )


def homonyms() -> str:
    """What the names that depend on the verb mean, as a list."""
    return "".join(f"- `{name}`: {what}.\n" for name, what in HOMONYMS.items())


def targets() -> str:
    """What `fmtool export` can write."""
    return table(
        ("option", "writes", "where", "needs", "takes"),
        [
            (
                f"`{t.option}`" if t.option else "(always)",
                f"`NAME{t.file}`" if t.file.startswith(".") else f"`{t.file}`",
                t.where,
                t.needs,
                ", ".join(f"`{option}`{{.whole}}" for option in t.options) or "-",
            )
            for t in TARGETS
        ],
    )


MADE = {
    "engines": markdown,
    "options": by_name,
    "homonyms": homonyms,
    "targets": targets,
    **conformance.TABLES,
}

_PLACE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)


def filled(page: str) -> str:
    """A page's Markdown with its tables.

    Raises:
        KeyError: for a name that is not in `MADE`.
    """
    return _PLACE.sub(lambda place: MADE[place[1]](), page)
