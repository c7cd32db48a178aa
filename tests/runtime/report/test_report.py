"""Reports: everything is said, nothing is fetched, no file name becomes markup."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from fmtool import NOTICE
from fmtool.errors import InputError
from runtime import report
from runtime.report import parquet, table
from runtime.report.rows import fields, records
from runtime.result import Failure


def jpeg(width: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, 6)).save(stream, "JPEG")
    return stream.getvalue()


PLANES = ("axial", "coronal", "sagittal")
FILES = {f"{name}/{plane}.jpg": jpeg() for name in ("brain", "registration") for plane in PLANES}
RESULT: dict[str, Any] = {
    "scan": "sub-01_T1w.nii.gz",
    "values": {
        "age": {
            "value": 34.23,
            "unit": "years",
            "kind": "regression",
            "class": None,
            "classes": None,
            "evidence": {
                "metric": "MAE",
                "unit": "years",
                "value": 7.18,
                "interval": [6.1, 8.4],
                "baseline": 7.08,
                "baseline_name": "predicting the mean age",
                "label_range": [19.0, 46.0],
                "beats_baseline": False,
                "n": 28,
                "sample": "28 people of one site",
            },
            "warnings": [],
        },
        "sex": {
            "value": 0.13,
            "unit": "probability",
            "kind": "binary",
            "class": "F",
            "classes": ["F", "M"],
            "evidence": {
                "metric": "AUC",
                "value": 0.95,
                "interval": None,
                "baseline": 0.93,
                "baseline_name": "brain volume alone",
                "beats_baseline": True,
            },
            "warnings": ["Look twice."],
        },
    },
    "quality": [
        {
            "name": "Brain volume",
            "value": 853.0,
            "unit": "mL",
            "range": [900.0, 2000.0],
            "verdict": "warn",
            "sentence": "The brain is small.",
        },
        {
            "name": "T1 contrast",
            "value": None,
            "unit": "SD",
            "range": [0.7, 2.5],
            "verdict": "ok",
            "sentence": "Fine.",
        },
    ],
    "warnings": ["The brain is small."],
    "facts": {"shape": [160, 192, 192], "spacing": [1.0, 1.33, 1.33], "brain_volume_ml": 853.0},
    "timings": {"read": 0.2, "network": 3.5, "total": 3.7},
    "bundle": {
        "name": "demo",
        "digest": "ab" * 32,
        "demonstration": True,
        "limits": ["Adults only."],
    },
    "engine": "openvino 2026.4, cpu, bfloat16",
    "version": "0.1.0",
    "notice": NOTICE,
}
FAILURE = {"scan": "=bad.nii.gz", "error": "=bad.nii.gz is empty", "version": "0.1.0"}


class _Page(HTMLParser):
    """The tags in order, the text, and whether every tag was closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data + " "


def page(result: dict[str, Any] = RESULT, pictures: dict[str, bytes] | None = None) -> _Page:
    return _Page(report.html(result, pictures or {}))


def test_the_page_says_what_matters() -> None:
    found = page()
    assert found.open == []
    for words in (
        "34.2",
        "± 7.18 years",
        "No better than its baseline (predicting the mean age)",
        "Predicting the mean age reaches 7.08 years",
        "Cross-validated on 28 people of one site: MAE 7.18 years (95 % interval 6.10 to 8.40)",
        "probability 0.87",
        "F 0.87",
        "M 0.13",
        "its cohort",
        "Better than its baseline (brain volume alone)",
        "Look twice.",
        "! warning",
        "853 mL",
        "expected 900 to 2,000",
        "n/a",
        "Adults only.",
        "Run the network",
        "3.70 s",
        "160 × 192 × 192",
        "ab" * 32,
        "openvino 2026.4, cpu, bfloat16",
        NOTICE,
    ):
        assert words in found.text


def test_a_forced_answer_leads_with_the_refusal() -> None:
    result = copy.deepcopy(RESULT)
    result["quality"][0] |= {"verdict": "refuse", "sentence": "This is a CT."}
    result["warnings"] = ["This is a CT."]
    text = page(result).text
    assert text.index("the answer was forced") < text.index("34.2")
    assert "To be looked at" not in text


def test_the_notice_comes_first() -> None:
    assert page().text.split("·")[1].split("fmtool report")[0].strip().endswith(NOTICE)


def test_without_slices_the_page_runs_no_script_and_never_needs_a_network() -> None:
    text = report.html(RESULT, FILES)
    found = _Page(text)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    tags = [tag for tag, _ in found.tags]
    assert not {"script", "link", "iframe", "object", "a"} & set(tags)
    policy = [a.get("content") or "" for t, a in found.tags if t == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_every_picture_is_embedded_with_words_for_those_who_do_not_see_it() -> None:
    found = page(pictures=FILES)
    images = [a for tag, a in found.tags if tag == "img"]
    assert len(images) == 6
    for image in images:
        assert (image["alt"] or "").split()[0] in ("Axial", "Coronal", "Sagittal")
        assert (image["src"] or "").startswith("data:image/jpeg;base64,/9j/")
    assert "patient's right (R) is on the left" in found.text


def test_light_dark_phone_and_paper_are_provided_for() -> None:
    text = report.html(RESULT, {})
    for rule in ("prefers-color-scheme:dark", "max-width:700px", "@media print"):
        assert rule in text
    assert 'name="viewport"' in text


def test_nothing_that_comes_in_becomes_markup() -> None:
    evil = "<script>alert('x')</script>\"&"

    def poison(data: Any) -> Any:
        if isinstance(data, dict):
            return {k: poison(v) for k, v in data.items()}
        if isinstance(data, list):
            return [poison(v) for v in data]
        return evil if isinstance(data, str) else data

    result = poison(RESULT)
    for name, value in result["values"].items():
        value["kind"] = RESULT["values"][name]["kind"]
    for check in result["quality"]:
        check["verdict"] = "warn"
    result["values"] = {evil + name: value for name, value in result["values"].items()}
    text = report.html(result, {evil: jpeg()})
    assert "<script" not in text
    found = _Page(text)
    assert found.open == []
    assert "script" not in [tag for tag, _ in found.tags]
    known = {"lang", "charset", "http-equiv", "content", "name", "class", "style", "src", "alt"}
    known |= {"role", "aria-label", "aria-hidden", "scope", "viewbox", "text-anchor"}
    known |= {"x", "y", "x1", "x2", "y1", "y2", "rx", "width", "height"}
    assert {key for _, attrs in found.tags for key in attrs} <= known


def test_csv_has_a_row_per_scan_and_a_column_per_answer() -> None:
    rows = list(csv.DictReader(io.StringIO(report.csv_rows([RESULT, FAILURE]))))
    assert len(rows) == 2
    assert rows[0]["scan"] == "sub-01_T1w.nii.gz"
    assert float(rows[0]["age_predicted"]) == pytest.approx(34.23)
    assert rows[0]["age_unit"] == "years"
    assert rows[0]["age_beats_baseline"] == "False"
    assert rows[0]["sex_predicted"] == "0.13"
    assert rows[0]["sex_class"] == "F"
    assert rows[0]["checks"] == "warn"
    assert rows[0]["bundle_digest"] == "ab" * 32
    assert "Look twice." in rows[0]["warnings"]
    assert [rows[0][c] for c in ("participant_id", "session_id", "run")] == ["sub-01", "", ""]
    assert (rows[0]["qc_brain_volume"], rows[0]["qc_t1_contrast"]) == ("853", "")
    assert not {"age", "sex", "subject", "session", "site"} & set(rows[0])  # a demographic table's
    assert rows[1]["error"] == "'=bad.nii.gz is empty"
    assert rows[1]["age_predicted"] == ""
    assert rows[1]["scan"] == "'=bad.nii.gz"  # no spreadsheet runs it as a formula


def test_what_holds_of_every_scan_is_told_apart() -> None:
    result = copy.deepcopy(RESULT)
    value = result["values"]["age"]
    value["warnings"] = ["Odd.", "Weak head."]
    value["of_head"] = ["Weak head."]
    (row,) = records([result])
    assert row["head_warnings"] == ["age: Weak head."]
    assert row["warnings"] == ["The brain is small.", "age: Odd.", "sex: Look twice."]


def test_a_row_of_a_task_has_no_other_task_s_warnings_and_no_scan_is_dropped() -> None:
    result = copy.deepcopy(RESULT)
    result["values"]["age"] |= {"warnings": ["Weak head."], "of_head": ["Weak head."]}
    age, sex, failed = records([result, FAILURE], long=True)
    assert (age["task"], age["head_warnings"]) == ("age", ["Weak head."])
    assert (sex["task"], sex["head_warnings"]) == ("sex", [])
    assert sex["warnings"] == ["The brain is small.", "Look twice."]
    assert (failed["task"], failed["error"]) == (None, FAILURE["error"])


def test_every_field_is_described_and_all_forms_have_the_same() -> None:
    at = {"finished": "2026-01-02T03:04:05+00:00"}
    told = [calibrated() | {"content": "cd" * 32, **at}, FAILURE | at]
    known = fields(told)
    assert all(column.description for column in known.values())
    assert known["age_low"].units == "years"
    assert known["sex_class"].to_dict()["Levels"] == {"F": "F", "M": "M"}
    assert [list(row) for row in records(told)] == [list(known)] * 2
    assert next(csv.reader(io.StringIO(report.csv_rows(told)))) == list(known)
    files = pytest.importorskip("pyarrow.parquet")
    table = files.read_table(io.BytesIO(parquet.parquet(told)))
    assert table.column_names == [*known, "embedding"]
    assert table.column("age_predicted").to_pylist() == [pytest.approx(34.23), None]


def test_the_long_form_has_a_row_for_each_task() -> None:
    found = records([calibrated(), FAILURE], long=True)
    assert [(row["task"], row["participant_id"]) for row in found] == [
        ("age", "sub-01"),
        ("sex", "sub-01"),
        (None, "_bad"),  # an answer that failed is not left out
    ]
    assert (found[0]["low"], found[0]["set"]) == (25.14, None)
    assert (found[1]["set"], found[1]["class"]) == ("F|M", "F")
    assert found[0].keys() == found[1].keys()


def test_an_answer_on_a_scan_that_the_head_learnt_from_is_marked() -> None:
    result = copy.deepcopy(RESULT)
    result["values"]["age"]["learnt_from"] = True
    assert "34.2*†" in shown([result])
    assert "no prediction" in shown([result])
    assert "†" not in shown([RESULT])
    assert records([result])[0]["age_learnt_from"] is True


def calibrated() -> dict[str, Any]:
    """The result of a bundle that knows its heads' limits."""
    result = copy.deepcopy(RESULT)
    interval = {"low": 25.14, "high": 43.0, "level": 0.9}
    result["values"]["age"] |= {"interval": interval, "corrected": 31.2, "novelty_p": 0.5}
    limits = {"prediction_set": ["F", "M"], "prediction_set_level": 0.9}
    result["values"]["sex"] |= {"probability": 0.35, "novelty_p": 0.034, **limits}
    return result | {"novelty_p": 0.034}


def test_the_answers_own_limits_are_in_the_csv() -> None:
    (row,) = csv.DictReader(io.StringIO(report.csv_rows([calibrated()])))
    assert [row[f"age_{c}"] for c in ("low", "high", "level")] == ["25.14", "43", "0.9"]
    assert row["age_corrected"] == "31.2"
    assert [row[f"sex_{c}"] for c in ("probability", "set", "level")] == ["0.35", "F|M", "0.9"]
    assert row["novelty_p"] == "0.034"
    (row,) = csv.DictReader(io.StringIO(report.csv_rows([RESULT])))
    empty = ["age_low", "age_high", "age_corrected", "sex_probability", "sex_set", "novelty_p"]
    assert [row[name] for name in empty] == [""] * 6


def test_the_answers_own_limits_are_in_the_table() -> None:
    console = Console(record=True, width=160)
    console.print(table.render([calibrated(), RESULT]))
    text = console.export_text()
    for said in ("90 %: 25.1 to 43.0", "corrected 31.2", "probability 0.65", "90 %: F or M"):
        assert said in text
    assert "0.034" in text
    assert "novelty p: small" in text
    assert "± 7.18 years" in text  # the result without calibration
    console.print(table.render([RESULT]))
    assert "novelty" not in console.export_text()


def test_csv_keeps_negative_numbers_and_works_without_results() -> None:
    result = copy.deepcopy(RESULT)
    result["values"]["age"]["value"] = -3.5
    rows = list(csv.DictReader(io.StringIO(report.csv_rows([result]))))
    assert rows[0]["age_predicted"] == "-3.5"
    assert report.csv_rows([]).startswith("scan,participant_id,session_id,run,checks")
    assert len(list(csv.DictReader(io.StringIO(report.csv_rows([FAILURE]))))) == 1


def test_files_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.write_json(tmp_path / "a.json", RESULT)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == RESULT
    report.write_html(tmp_path / "a.html", RESULT, {})
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == report.html(RESULT, {})
    with pytest.raises(InputError, match="cannot write"):
        report.write_json(tmp_path / "missing" / "a.json", RESULT)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left"):
        report.write_json(tmp_path / "a.json", {})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == RESULT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json"]


def shown(results: list[dict[str, Any]]) -> str:
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    console.print(table.render(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_answers_errors_and_failures() -> None:
    text = shown([RESULT, FAILURE])
    for words in ("34.2* years", "± 7.18 years", "F probability 0.87", "AUC 0.95", "warning"):
        assert words in text
    assert "* no better than its baseline" in text
    assert "failed" in text
    assert "=bad.nii.gz" in text
    assert " ".join(NOTICE.split()[:3]) in text


def test_the_table_says_for_which_site_a_head_is_and_of_what_its_error_is() -> None:
    told = {"method": "ComBat", "sites": ["A", "B"], "covariates": [], "site": "B"}
    result = copy.deepcopy(RESULT)
    result["values"]["age"]["evidence"] |= {"harmonised": told, "how": "leave-one-site-out"}
    text = " ".join(shown([result, result]).split())
    assert text.count("age: the head is harmonised by ComBat for scans of site B: for another") == 1
    assert "in its own cohort, cross-validated or leave-one-site-out." in text
    assert "harmonised" not in shown([RESULT])


def test_the_table_takes_names_as_they_are() -> None:
    assert "[red]x[/red].nii" in shown([RESULT | {"scan": "[red]x[/red].nii"}])
    assert "scan" in shown([])


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\xa0=1", "\ufeff=1",
     "\u200b=1",     "\uff1d1", "\uff0b1", "\uff0d1+1", "\uff20a", "|a", "%a", "\x00=1", "\x1b=1"],
)  # fmt: skip
def test_no_cell_is_taken_for_a_formula_in_any_way(name):
    text = report.csv_rows([Failure(name, f"{name} is empty").to_dict()])
    for delimiter in ",;\t":  # as programs of other languages read it
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            assert not [c for c in row if c.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["scan"].startswith("'")
    assert "\x1b" not in text
    assert "\x00" not in text


def test_a_cell_is_not_parted_where_a_semicolon_parts_cells():
    text = report.csv_rows([Failure("a;=1+1", "b\t=2").to_dict()])
    assert '"a;=1+1"' in text
    for row in csv.reader(io.StringIO(text), delimiter=";"):
        assert not [cell for cell in row if cell.startswith("=")]
