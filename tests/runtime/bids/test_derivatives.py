"""Derivatives: written whole, never mixed, with an index and a table that says what it holds."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pytest

from fmtool import __version__
from fmtool.errors import InputError
from runtime.bids import dataset, group
from runtime.bids.derivatives import Derivatives
from runtime.bids.select import select
from runtime.report.derivatives import MASK, PREPROC, TRANSFORM
from runtime.result import Failure

FILES = {PREPROC: b"p", MASK: b"m", TRANSFORM: b"x"}
HEAD = "sub-02/anat/sub-02_T1w.nii"
MADE = "sub-02/anat/sub-02"


@pytest.fixture
def out(raw, tmp_path, kit):
    folder = tmp_path / "out"
    folder.mkdir()
    dataset.begin(raw, folder, kit.bundle)
    return folder


@pytest.fixture
def publisher(raw, out, kit):
    return Derivatives(raw, out, kit.bundle.digest)


def names(out):
    return sorted(p.relative_to(out).as_posix() for p in out.rglob("sub-02*") if p.is_file())


def test_a_scan_s_derivatives_and_their_sidecars(raw, out, publisher, kit):
    assert publisher.name(str(raw / HEAD)) == HEAD
    assert publisher.wants(HEAD, "c" * 64)
    page = publisher.put(HEAD, kit.answer(), FILES)
    assert not publisher.wants(HEAD, "c" * 64)
    grid = f"{MADE}_space-MNI152NLin2009cSym_res-1_desc-"
    way = f"{MADE}_from-T1w_to-MNI152NLin2009cSym_mode-image_xfm"
    assert names(out) == sorted(
        [f"{MADE}_desc-fmtool_predictions.json", page.relative_to(out).as_posix(),
         f"{grid}preproc_T1w.nii.gz", f"{grid}preproc_T1w.json", f"{grid}brain_mask.nii.gz",
         f"{grid}brain_mask.json", f"{way}.txt", f"{way}.json"]
    )  # fmt: skip
    told = json.loads((out / f"{grid}preproc_T1w.json").read_text())
    assert told["Sources"] == [f"bids:raw:{HEAD}"]
    assert told["SkullStripped"] is True
    assert json.loads((out / f"{grid}brain_mask.json").read_text())["Type"] == "Brain"
    answer = json.loads((out / f"{MADE}_desc-fmtool_predictions.json").read_text())
    assert answer["scan"] == HEAD
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert [g["Version"] for g in described["GeneratedBy"]] == [__version__, kit.bundle.digest]
    assert described["DatasetLinks"]["raw"] == raw.as_uri()
    assert described["SourceDatasets"] == [{"URL": raw.as_uri(), "DOI": "doi:10.1/x"}]


def test_what_is_missing_is_made_again_and_what_is_of_other_bytes_goes(out, publisher, kit):
    publisher.put(HEAD, kit.answer(), FILES)
    publisher.put("sub-02/anat/sub-02_UNIT1.nii.gz", kit.answer(), FILES)
    (out / f"{MADE}_space-MNI152NLin2009cSym_res-1_desc-brain_mask.nii.gz").unlink()
    assert publisher.wants(HEAD, "c" * 64)
    publisher.put(HEAD, kit.answer(), {PREPROC: b"p", MASK: b"m"})  # ITK cannot tell its place now
    assert not [name for name in names(out) if "from-T1w" in name]
    assert not publisher.wants(HEAD, "c" * 64)
    assert publisher.wants(HEAD, "d" * 64)
    left = names(out)
    assert left
    assert all("UNIT1" in name for name in left)


def test_another_bundle_is_never_mixed_in(raw, out, publisher, kit, tmp_path):
    other = SimpleNamespace(name="other", digest="d" * 64)
    with pytest.raises(InputError, match="another bundle"):
        dataset.begin(raw, out, other)
    dataset.begin(raw, out, kit.bundle)
    with pytest.raises(InputError, match="raw data set itself"):
        dataset.begin(raw, raw, kit.bundle)
    publisher.put(HEAD, kit.answer(digest="d" * 64), FILES)
    with pytest.raises(InputError, match="another bundle"):
        group.write(raw, out, select(raw))
    with pytest.raises(InputError, match="participant level"):
        group.write(raw, raw, select(raw))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "dataset_description.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        dataset.begin(raw, damaged, kit.bundle)


def test_the_table_has_a_row_per_scan_and_its_dictionary_every_column(raw, out, publisher, kit):
    heads = select(raw)
    with pytest.raises(InputError, match="participant level first"):
        group.write(raw, out, heads)
    for number, head in enumerate(heads[:3]):
        publisher.put(publisher.name(str(head)), kit.answer(40.0 + number), FILES)
    table, dictionary, *_, index = group.write(raw, out, heads)
    rows = list(csv.DictReader(table.open(), delimiter="\t"))
    assert [row["participant_id"] for row in rows] == ["sub-01", "sub-01", "sub-02", "sub-02"]
    assert [row["session_id"] for row in rows] == ["ses-1", "ses-2", "n/a", "n/a"]
    assert [row["age_predicted"] for row in rows] == ["40", "41", "42", "n/a"]
    assert rows[3]["error"].startswith("not answered")
    assert rows[0]["warnings"].startswith("age: odd")  # a tab in it would have moved the columns
    told = json.loads(dictionary.read_text())
    assert list(told) == list(rows[0])
    assert all(entry["Description"] for entry in told.values())
    assert told["age_low"]["Units"] == "years"
    assert told["sex_class"]["Levels"] == {"F": "F", "M": "M"}
    assert index.read_text().count("<tr data-verdict") == 4


def test_pages_per_subject_lead_to_the_scans_and_tell_what_failed(raw, out, publisher, kit):
    one, two, *_ = (publisher.name(str(head)) for head in select(raw))
    publisher.put(one, kit.answer(), FILES)
    failure = Failure(str(raw / two), f"{raw / two} is refused: odd").to_dict()
    publisher.write_index([failure])
    page = (out / "sub-01.html").read_text()
    assert page.count("<tr data-verdict") == 2
    assert "is refused: odd" in page
    (link,) = (part.split('"')[0] for part in page.split('href="')[1:])
    assert (out / link).is_file()
    assert (out / "sub-02.html").read_text().count("<tr data-verdict") == 0
    (out / MADE).parent.mkdir(parents=True)
    (out / f"{MADE}_desc-fmtool_predictions.json").write_text('{"scan"')
    with pytest.raises(InputError, match="remove it"):
        publisher.write_index()
