"""What whoever runs the scan may set: one table for the stream's JSON and for OpenRecon's label.

The values come as a text message, a JSON object whose `parameters` a scanner writes as strings and
other clients as what they are; one that is absent, unknown or nonsense is its default, and the last
is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmtool import plain_json

MAX_JSON_BYTES = 1 << 16


@dataclass(frozen=True)
class Switch:
    """One of them.

    Attributes:
        id: letters and digits.
        default: its value.
        label: a few words for the console.
        information: a sentence.
    """

    id: str
    default: bool
    label: str
    information: str


SWITCHES = (
    Switch(
        "originals",
        True,
        "Send originals",
        "The images that came go back unchanged. They do in any case if nothing else can be given.",
    ),
    Switch(
        "report",
        True,
        "Send report",
        "A series of its own with the answers, their limits and what is to be looked at.",
    ),
    Switch(
        "mask", False, "Send brain mask", "A series of its own on the grid of the images that came."
    ),
    Switch(
        "attribution",
        False,
        "Send attribution",
        "A series for each head better than its baseline: which places moved its answer.",
    ),
)
"""In the order in which they are shown."""

DEFAULTS: Mapping[str, bool] = {switch.id: switch.default for switch in SWITCHES}

_WORDS = {"true": True, "1": True, "yes": True, "on": True}
_WORDS |= {"false": False, "0": False, "no": False, "off": False}


def read(texts: Iterable[bytes]) -> tuple[dict[str, bool], list[str]]:
    """The switches from the texts of a stream, the last JSON among them ruling; what was odd.

    A text that is no JSON object is anybody's remark and means nothing.
    """
    found, remarks = dict(DEFAULTS), list[str]()
    for text in texts:
        told = _object(text)
        inner = told.get("parameters", told)
        if not isinstance(inner, dict):
            continue
        for name in DEFAULTS.keys() & inner.keys():
            value = _switch(inner[name])
            if value is None:
                remarks.append(
                    f"the parameter {name} is neither true nor false; it is {DEFAULTS[name]}"
                )
            found[name] = DEFAULTS[name] if value is None else value
    return found, sorted(remarks)


def _object(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_JSON_BYTES or not text.lstrip().startswith(b"{"):
        return {}
    try:
        found = plain_json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _switch(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = f"{value:g}" if isinstance(value, float) else str(value)
    return _WORDS.get(word.strip().lower())
