"""One name, one thing: no public class of the product shares its name with another."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("fmtool", "runtime", "training", "export", "benchmarks", "documentation")
TWINS: dict[str, str] = {}
"""Names that occur twice, and why."""


def public_classes(root: Path) -> dict[str, list[str]]:
    """Where each public class is defined, by its name."""
    found = defaultdict(list)
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(file.relative_to(root)))
    return found


def test_no_public_class_has_a_twin() -> None:
    twins = {name: files for name, files in public_classes(ROOT).items() if len(files) > 1}
    assert {n: f for n, f in twins.items() if n not in TWINS} == {}
    assert TWINS.keys() <= twins.keys()  # no reason outlives its twin


def test_a_twin_is_found(tmp_path: Path) -> None:
    for package in ("runtime", "training"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("class Row:\n    class _Row: ...\n")
    assert public_classes(tmp_path) == {"Row": ["runtime/a.py", "training/a.py"]}
