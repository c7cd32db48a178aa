"""The reference of JSON files, read from the schemas that tests hold real files against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference" / "schemas"


def load(name: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) called `name`."""
    return dict(json.loads((_FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")))


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array" and "items" in part:
        return f"array of {_kind(part['items'])}"
    return str(kind)


def _rows(part: dict[str, Any], path: str = "") -> Iterator[str]:
    required = set(part.get("required", ()))
    fields = dict(part.get("properties", {}))
    extra = part.get("additionalProperties")
    if isinstance(extra, dict):
        fields[str(extra.get("title", "NAME"))] = extra
    for name, inner in fields.items():
        here = f"{path}.{name}" if path else name
        must = "yes" if name in required else ""
        said = inner.get("description", "").replace("|", "\\|")
        yield f"| `{here}` | {_kind(inner)} | {must} | {said} |"
        yield from _rows(inner, here)
        if isinstance(inner.get("items"), dict):
            yield from _rows(inner["items"], f"{here}[]")


def page(name: str) -> str:
    """The reference page of one schema, as Markdown."""
    schema = load(name)
    rows = "\n".join(_rows(schema))
    return f"""# {schema["title"]}

{schema["description"]}

As a JSON schema: [{name}.schema.json](schemas/{name}.schema.json). A name in \
capitals stands for any; a field without `yes` may be absent.

| field | type | always | what |
|---|---|---|---|
{rows}
"""
