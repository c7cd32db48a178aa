"""The index: a row per scan, each with its page, and those that failed with their reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fmtool.errors import InputError
from runtime.report import publish
from runtime.report.page import index


def result(scan: str, age: float, verdict: str = "ok", **more: Any) -> dict[str, Any]:
    return {
        "scan": scan,
        "values": {
            "age": {
                "value": age,
                "unit": "years",
                "kind": "regression",
                "class": None,
                "classes": None,
                "evidence": {"beats_baseline": False, "baseline_name": "the mean", "value": 7.0},
                "warnings": [],
            }
        },
        "quality": [{"verdict": verdict}],
        "warnings": ["<b>Look.</b>"] if verdict != "ok" else [],
        "timings": {"total": 3.25},
        "bundle": {"name": "demo", "digest": "ab" * 32},
        **more,
    }


FAILED = {
    "scan": "/secret/path/<i>bad.nii.gz",
    "error": "/secret/path/<i>bad.nii.gz cannot be read: it is a <script>",
}


def test_the_site_of_a_harmonised_head_is_said_once_and_escaped() -> None:
    told = {"method": "ComBat", "sites": ["A"], "covariates": [], "site": "<b>B"}
    one = result("/x/c.nii", 23.5, "ok")
    one["values"]["age"]["evidence"]["harmonised"] = told
    page = index.html({"c": one, "d": one}, [])
    assert page.count("age: the head is harmonised by ComBat for scans of site &lt;b&gt;B") == 1


@pytest.fixture
def publisher(tmp_path: Path) -> publish.Publisher:
    return publish.Publisher(tmp_path, template=None)  # type: ignore[arg-type]


def test_every_scan_has_a_row_with_its_link_answer_and_verdict() -> None:
    pages = {"a b": result("/x/a b.nii.gz", 61.0), "c": result("/x/c.nii", 23.5, "refuse")}
    page = index.html(pages, [FAILED])
    assert page.count("<tr data-verdict") == 3
    for said in ('href="a%20b.html"', "61.0* years", "± 7 years", "✕ refused, forced", "3.2"):
        assert said in page
    assert "no better than its baseline" in page
    assert "&lt;b&gt;Look.&lt;/b&gt;" in page
    assert "it is a &lt;script&gt;" in page
    assert "/secret/path" not in page
    assert page.count("<script>") == 1
    assert "sha256-" in page
    assert "Novelty" not in page


def test_novelty_is_a_column_where_it_is_known() -> None:
    page = index.html({"a": result("a.nii", 61.0, novelty_p=0.031)})
    assert ">Novelty p</button>" in page
    assert 'data-key="0.031">0.031</td>' in page


def test_what_has_no_page_of_this_bundle_is_wanted(tmp_path: Path) -> None:
    def known(name: str, **more: Any) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(result(f"{name}.nii", 40.0, **more)))
        (tmp_path / f"{name}.html").touch()

    known("a", content="1")
    known("b")  # by a command that knew no content
    (tmp_path / "c.json").write_text(json.dumps(result("c.nii", 40.0, content="3")))  # no page
    kept = publish.Publisher(tmp_path, None, "ab" * 32)  # type: ignore[arg-type]
    assert not kept.wants("other", "1")  # another name of the same bytes shares the page
    assert kept.wants("a", "2")
    assert kept.wants("c", "3")
    assert not kept.wants("absent", None)
    assert publish.Publisher(tmp_path, None, "cd" * 32).wants("a", "1")  # type: ignore[arg-type]


def test_the_folder_is_what_counts(publisher: publish.Publisher, tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps(result(f"{name}.nii", 40.0)))
        (tmp_path / f"{name}.html").touch()
    (tmp_path / "alone.json").write_text("{}")
    (tmp_path / "other.json").write_text("[1]")
    (tmp_path / "other.html").touch()
    text = publisher.write_index().read_text(encoding="utf-8")
    assert text.count("<tr data-verdict") == 2
    assert text.index('href="a.html"') < text.index('href="b.html"')


def test_a_damaged_result_is_named(publisher: publish.Publisher, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"scan')
    (tmp_path / "a.html").touch()
    with pytest.raises(InputError, match=r"a\.json"):
        publisher.write_index()


def test_no_scan_is_called_as_the_index(publisher: publish.Publisher) -> None:
    assert publisher.name("/x/index.nii.gz") == "index-2"


def test_names_that_some_file_systems_take_for_one_are_two(publisher: publish.Publisher) -> None:
    assert [publisher.name(f"/{folder}.nii.gz") for folder in ("a/T1", "b/t1")] == ["T1", "t1-2"]
