"""Tables that the code knows, put into the pages that name them when the site is built.

A page says where with a line of its own: `<!-- made: engines -->`.
"""

from __future__ import annotations

import re

from documentation import options
from documentation.verbs import table
from export.targets import TARGETS
from runtime.engines.table import markdown


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
    "options": options.by_name,
    "homonyms": options.homonyms,
    "targets": targets,
}

_PLACE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)


def filled(page: str) -> str:
    """A page's Markdown with its tables.

    Raises:
        KeyError: for a name that is not in `MADE`.
    """
    return _PLACE.sub(lambda place: MADE[place[1]](), page)
