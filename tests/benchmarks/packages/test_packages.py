"""The parts of `make package-check` that need no registry."""

import tomllib
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="the dicom extra is absent")

from benchmarks.packages import build, resolve, uses
from benchmarks.packages.failed import Failed
from fmtool import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_extra_is_used_or_it_is_said_why_not():
    assert resolve.extras(ROOT).keys() <= uses.USES.keys() | uses.RESOLVED_ONLY.keys()
    assert not uses.USES.keys() & uses.RESOLVED_ONLY.keys()


def test_the_version_is_one():
    assert PROJECT["project"]["version"] == __version__


def test_the_source_archive_names_what_there_is_and_holds_what_is_installed():
    target = PROJECT["tool"]["hatch"]["build"]["targets"]
    named = target["sdist"]["only-include"]
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert set(target["wheel"]["packages"]) <= set(named)


def test_builds_that_differ_are_refused(tmp_path):
    one, other = tmp_path / "a" / "x.whl", tmp_path / "b" / "x.whl"
    for file, content in ((one, b"same"), (other, b"same")):
        file.parent.mkdir()
        file.write_bytes(content)
    build.same(one, other)
    other.write_bytes(b"sama")
    with pytest.raises(Failed, match=r"two builds of x\.whl differ"):
        build.same(one, other)
