"""CITATION.cff has the fields that the format 1.2 asks for, and agrees with the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from fmtool import __version__

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
REFERENCE_TYPES = {"article", "conference-paper", "generic", "report", "software", "unpublished"}


def names(authors):
    """Each author as a person (family and given name) or as an entity (name)."""
    return [(a["family-names"], a["given-names"]) if "family-names" in a else a["name"]
            for a in authors]  # fmt: skip


def test_what_the_format_requires_is_there():
    assert CITED["cff-version"] == "1.2.0"
    assert CITED["type"] == "software"
    assert all(CITED[key] for key in ("message", "title", "authors"))
    assert names(CITED["authors"])


def test_it_agrees_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert str(CITED["version"]) == __version__
    # The demonstration's weights have a licence of their own.
    assert CITED["license"] == project["license"].split(" AND ")[0]
    assert CITED["title"] == f"fmtool: {project['description']}"


def test_the_paper_is_the_one_of_the_readme():
    paper = CITED["preferred-citation"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    number = re.search(r"arXiv (\d{4}\.\d{5})", readme)[1]
    assert paper["type"] in REFERENCE_TYPES
    assert paper["url"] == f"https://arxiv.org/abs/{number}"
    assert [i["value"] for i in paper["identifiers"]] == [f"arXiv:{number}"]
    assert paper["title"] in readme
    assert names(paper["authors"])[0] == ("Kaczmarek", "Emily")
    assert len(paper["authors"]) == 4


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=str)
def test_an_issue_form_asks_something(form):
    said = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert said == {"blank_issues_enabled": True}
        return
    assert said["name"]
    assert said["description"]
    asked = [part for part in said["body"] if part["type"] != "markdown"]
    assert any(part.get("validations", {}).get("required") for part in asked)
    assert len({part["id"] for part in asked}) == len(asked)
