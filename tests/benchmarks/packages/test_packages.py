"""The parts of `make package-check` that need no registry."""

import ast
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="the dicom extra is absent")

from benchmarks.packages import build, environment, uses
from benchmarks.packages.environment import Failed
from fmtool import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_extra_is_used_or_it_is_said_why_not():
    assert environment.extras(ROOT).keys() <= uses.USES.keys() | uses.RESOLVED_ONLY.keys()
    assert not uses.USES.keys() & uses.RESOLVED_ONLY.keys()


def test_the_version_is_one():
    assert PROJECT["project"]["version"] == __version__


def test_the_source_archive_names_what_there_is_and_holds_what_is_installed():
    target = PROJECT["tool"]["hatch"]["build"]["targets"]
    named = target["sdist"]["only-include"]
    assert [name for name in named if not (ROOT / name).exists()] == []
    parts = target["wheel"]["only-include"]
    assert {part.partition("/")[0] for part in parts} <= set(named)
    assert (
        tuple(parts)
        == build.WHEEL
        == (
            "fmtool",
            "runtime",
            "training",
            "export",
            "benchmarks/__init__.py",
            "benchmarks/bench",
            "benchmarks/robustness",
            "benchmarks/shared",
        )
    )


def test_what_the_wheel_holds_imports_nothing_that_it_lacks():
    files = [
        file
        for part in build.WHEEL
        for file in ([ROOT / part] if part.endswith(".py") else sorted((ROOT / part).rglob("*.py")))
    ]
    wanted = {name for file in files for name in imported(file) if name.startswith("benchmarks.")}
    assert {"benchmarks.bench", "benchmarks.bench.run"} <= wanted
    held = tuple(f"benchmarks.{room}." for room in ("bench", "robustness", "shared"))
    assert [name for name in wanted if not f"{name}.".startswith(held)] == []


def imported(file):
    """The modules that a file names in its imports, at any depth."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "benchmarks":
                yield from (f"benchmarks.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_a_wheel_with_more_or_less_is_refused():
    right = [f"{part}/a.py" for part in build.WHEEL if not part.endswith(".py")]
    right += ["benchmarks/__init__.py", "fmtool-0.1.0.dist-info/RECORD"]
    build.holds(right)
    with pytest.raises(Failed, match=r"holds benchmarks/fuzz/run\.py; see"):
        build.holds([*right, "benchmarks/fuzz/run.py"])
    with pytest.raises(Failed, match=r"holds benchmarks/bench_more\.py, lacks benchmarks/bench;"):
        build.holds([n for n in right if "bench/" not in n] + ["benchmarks/bench_more.py"])


def test_builds_that_differ_are_refused(tmp_path):
    one, other = tmp_path / "a" / "x.whl", tmp_path / "b" / "x.whl"
    for file, content in ((one, b"same"), (other, b"same")):
        file.parent.mkdir()
        file.write_bytes(content)
    build.same(one, other)
    other.write_bytes(b"sama")
    with pytest.raises(Failed, match=r"two builds of x\.whl differ"):
        build.same(one, other)
