"""Cohorts from CSV and BIDS: what is accepted, and what is refused with its line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fmtool import task as tasks
from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training import cohort
from training.cohort.duplicates import same_images


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}", encoding="utf-8")


def csv_of(folder, *lines, name="cohort.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    touch(tmp_path, *(f"sub-{i:02d}/ses-1/anat/sub-{i:02d}_T1w.nii.gz" for i in range(1, 9)))
    touch(tmp_path, "a/normalized.nii.gz", "a/mask.nii.gz", "scan one.nii", "scan two.nii")
    return tmp_path


def test_the_papers_csv(folder):
    path = csv_of(
        folder,
        "\ufeffimage_path,mask_path,label",
        "a/normalized.nii.gz,a/mask.nii.gz,61.5",
        "",
        "sub-02/ses-1/anat/sub-02_T1w.nii.gz, ,33",
        f"{folder}/scan one.nii,,20",
    )
    first, second, third = cohort.read(path, AGE, each_scan_is_a_person=True).rows
    assert first.mask == folder / "a/mask.nii.gz"
    assert (first.label, first.line, first.site) == (61.5, 2, None)
    assert (second.subject, second.mask, second.line) == ("sub-02", None, 4)
    assert third.subject == str(folder / "scan one.nii")


def test_own_label_and_subject_columns_come_first(folder):
    path = csv_of(
        folder,
        "image_path,label,sex,subject,site",
        "scan one.nii,70,F,p1,A",
        "scan two.nii,71,male,p1,A",
    )
    rows = cohort.read(path, SEX).rows
    assert [(r.label, r.subject, r.site) for r in rows] == [(0.0, "p1", "A"), (1.0, "p1", "A")]
    assert [r.label for r in cohort.read(path, AGE).rows] == [70.0, 71.0]


def test_bids_layouts(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_acq-x_T1w.nii",
        "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz",
        "sub-03_T1w.nii.gz",
        "sub-031_T1w.nii.gz",
    )
    lines = ("participant_id\tage\tsex", "sub-01\t20\tF", "02\t30\tM", "sub-03\t40\tM")
    csv_of(tmp_path, *lines, name="participants.tsv")
    read = cohort.read(tmp_path, AGE)
    found = [(r.subject, r.image.name, r.label, r.line) for r in read.rows]
    assert found == [
        ("sub-01", "sub-01_T1w.nii.gz", 20.0, 2),
        ("02", "sub-02_ses-a_acq-x_T1w.nii", 30.0, 3),
        ("02", "sub-02_ses-b_T1w.nii.gz", 30.0, 3),
        ("sub-03", "sub-03_T1w.nii.gz", 40.0, 4),
    ]
    assert read.remarks == ["1 T1w files without a row are left out, such as sub-031_T1w.nii.gz."]
    assert cohort.read(tmp_path / "participants.tsv", AGE).rows == read.rows


def test_files_named_by_participants_lie_beside_their_table(tmp_path):
    touch(tmp_path, "IXI013-HH-1212_T1w.nii.gz", "b_T1w.mgz", "sub-03_T1w.nii", "IXI014_T2w.nii")
    lines = ("participant_id\tage", "IXI013-HH-1212\t40", "b\t50", "03\t60", "IXI014\t70")
    csv_of(tmp_path, *lines, name="participants.tsv")
    read = cohort.read(tmp_path, AGE)
    assert [(r.subject, r.told, r.image.name, r.label) for r in read.rows] == [
        ("IXI013", "IXI013-HH-1212", "IXI013-HH-1212_T1w.nii.gz", 40.0),
        ("b", "b", "b_T1w.mgz", 50.0),
        ("03", "03", "sub-03_T1w.nii", 60.0),
    ]
    (said,) = read.remarks
    assert "line 5: IXI014 has no T1w file" in said
    assert "write a CSV with image_path, subject and the label" in said


def test_all_problems_in_one_message_with_their_lines(folder):
    path = csv_of(
        folder,
        "image_path,label",
        "scan one.nii,abc",
        "gone.nii,20",
        "scan two.nii,20",
        "scan two.nii,20",
        "scan one.nii,200,extra",
        ",20",
        "sub-01/ses-1/anat/sub-01_T1w.nii.gz,n/a",
    )
    with pytest.raises(InputError) as caught:
        cohort.read(path, AGE, strict=True)
    message = str(caught.value)
    for words in (
        "cohort.csv",
        "line 2: age is 'abc'",
        "line 3: ",
        "gone.nii does not exist",
        "line 5: scan two.nii is the same image as on line 4",
        "line 6: 3 cells under 2 columns",
        "and 1 more",
    ):
        assert words in message
    assert "line 8" not in message


def test_the_same_bytes_under_another_name_are_a_duplicate(folder):
    (folder / "copy.nii").write_bytes((folder / "scan one.nii").read_bytes())
    path = csv_of(folder, "image_path,label", "scan one.nii,20", "copy.nii,30")
    with pytest.raises(InputError, match=r"line 3: copy\.nii is the same image as on line 2"):
        cohort.read(path, AGE)


def test_scans_of_nobody_are_refused_unless_each_is_said_to_be_a_person(folder):
    path = csv_of(folder, "image_path,label", "scan one.nii,20", "b/sub-1_T1w.nii,30")
    touch(folder, "b/sub-1_T1w.nii")
    with pytest.raises(InputError, match=r"whom 1 of its 2 scans show, such as scan one\.nii on"):
        cohort.read(path, AGE)
    read = cohort.read(path, AGE, each_scan_is_a_person=True)
    assert [row.named for row in read.rows] == [False, True]
    assert read.remarks == ["1 scans are each taken for a person of its own."]
    assert cohort.read(path, None).remarks == []


@pytest.mark.parametrize("second", ["B", ""])
def test_sites_are_never_mixed_silently(folder, second):
    rows = ("scan one.nii,20,A,a", f"scan two.nii,30,{second},b")
    path = csv_of(folder, "image_path,label,site,subject", *rows)
    with pytest.raises(InputError, match="mixes 2 sites"):
        cohort.read(path, AGE)
    allowed = cohort.read(path, AGE, allow_sites=True)
    assert len(allowed.rows) == 2
    assert "2 sites" in allowed.remarks[0]


def test_bids_problems(folder):
    lines = ("participant_id\tage", "sub-01\tn/a", "sub-77\t20", "sub-*\t30", "../x\t30")
    csv_of(folder, *lines, name="participants.tsv")
    with pytest.raises(InputError) as caught:
        cohort.read(folder, AGE, strict=True)
    message = str(caught.value)
    for words in ("line 2: age is 'n/a'", "line 3: sub-77 has no T1w file", "line 4", "line 5"):
        assert words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"image_path,label\n", "no scans"),
        (b"path,label\na,1\n", "no column image_path"),
        (b"image_path,mask_path\na,b\n", "no column age or label"),
        (b"image_path,label,label\na,1,2\n", "two columns"),
        (b"\xff\xfe\x00\x80", "not a table of UTF-8 text"),
    ],
)
def test_unusable_tables(tmp_path, content, words):
    path = tmp_path / "c.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        cohort.read(path, AGE)


def test_absent_tables(tmp_path):
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            cohort.read(path, AGE)


@pytest.mark.data
def test_the_real_cohort(data_dir):
    read = cohort.read(data_dir / "cohort", AGE)
    assert len(read.rows) == len({row.subject for row in read.rows}) == 28
    assert {row.site for row in read.rows} == {"ds002748"}
    assert (min(r.label for r in read.rows), max(r.label for r in read.rows)) >= (18, 50)
    assert sum(row.label for row in cohort.read(data_dir / "cohort", SEX).rows) < 14


def test_files_in_anothers_folder_are_nobodys(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-02_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz.part",
        "sub-01/func/sub-01_T1w.nii",
        "sub-01/ses-1/anat/sub-01_ses-1_rec-a_T1w.nii",
    )
    csv_of(tmp_path, "participant_id", "sub-01", name="participants.tsv")
    assert [row.image.name for row in cohort.read(tmp_path, None).rows] == [
        "sub-01_T1w.nii.gz",
        "sub-01_ses-1_rec-a_T1w.nii",
    ]


def sessions_of(folder):
    touch(
        folder,
        *(f"sub-01/ses-{s}/anat/sub-01_ses-{s}_T1w.nii.gz" for s in "ab"),
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
    )
    lines = ("participant_id\tage\tsex", "sub-01\t20\tF", "sub-02\t30\tM")
    csv_of(folder, *lines, name="participants.tsv")


def labels(read):
    return [(row.subject, row.session, row.label) for row in read.rows]


def test_a_sessions_own_label_comes_before_the_participants(tmp_path):
    sessions_of(tmp_path)
    lines = ("session_id\tage", "ses-b\t22.5", "a\t21")
    csv_of(tmp_path, *lines, name="sub-01/sub-01_sessions.tsv")
    expected = [("sub-01", "ses-a", 21.0), ("sub-01", "ses-b", 22.5), ("sub-02", "ses-a", 30.0)]
    assert labels(cohort.read(tmp_path, AGE)) == expected
    assert [row.label for row in cohort.read(tmp_path, SEX).rows] == [0.0, 0.0, 1.0]


def test_one_sessions_table_of_all_gives_way_to_the_subjects_own(tmp_path):
    sessions_of(tmp_path)
    csv_of(tmp_path, "participant_id", "sub-01", "sub-02", name="participants.tsv")
    lines = ("participant_id\tsession_id\tage", "01\tses-a\t40", "sub-02\ta\t41")
    csv_of(tmp_path, *lines, name="sessions.tsv")
    with pytest.raises(
        InputError, match=r"line 2: sub-01_ses-b_T1w.* belongs to ses-b.*ses-a only"
    ):
        cohort.read(tmp_path, AGE)
    lines = ("session_id\tage", "ses-a\t21", "ses-b\t22")
    csv_of(tmp_path, *lines, name="sub-01/sub-01_sessions.tsv")
    assert [row.label for row in cohort.read(tmp_path, AGE).rows] == [21.0, 22.0, 41.0]
    (tmp_path / "sessions.tsv").unlink()
    with pytest.raises(InputError, match="line 3: sub-02 has no age in any sessions' table"):
        cohort.read(tmp_path, AGE)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("session_id\tage", "ses-a\t21", "ses-b\tn/a"), r"1_sessions\.tsv line 3: age is 'n/a'"),
        (("session_id\tage", "ses-a\t21", "ses-b\t121"), r"1_sessions\.tsv line 3: age is 121"),
        (("session_id\tage", "ses-a\t21", "a\t22"), "line 3: ses-a is listed twice"),
        (("session\tage", "ses-a\t21"), "no column session_id"),
        (("session_id\tage", "ses-a\t21\tx"), r"sub-01_sessions\.tsv line 2: 3 cells"),
    ],
)  # fmt: skip
def test_problems_of_sessions_are_named_by_file_and_line(tmp_path, lines, said):
    sessions_of(tmp_path)
    csv_of(tmp_path, *lines, name="sub-01/sub-01_sessions.tsv")
    with pytest.raises(InputError, match=said):
        cohort.read(tmp_path, AGE, strict=True)
    assert len(cohort.read(tmp_path, SEX).rows) == 3  # whose labels are the participants'


def test_without_a_task_no_label_is_needed_and_sites_may_mix(folder):
    lines = ("image_path,site", "scan one.nii,A", "scan two.nii,B")
    read = cohort.read(csv_of(folder, *lines), None)
    assert read.task is None
    assert all(math.isnan(row.label) for row in read.rows)
    assert read.remarks == ["The rows come from 2 sites: A, B."]
    (folder / "copy.nii").write_bytes((folder / "scan one.nii").read_bytes())
    path = csv_of(folder, "image_path", "scan one.nii", "copy.nii", "gone.nii")
    with pytest.raises(
        InputError, match=r"line 3: copy.*same image.*; line 4: .*gone\.nii does not"
    ):
        cohort.read(path, None)


def test_a_bids_folder_without_labels(tmp_path):
    sessions_of(tmp_path)
    csv_of(tmp_path, "participant_id", "sub-01", "sub-02", name="participants.tsv")
    read = cohort.read(tmp_path, None)
    assert [(row.subject, row.session) for row in read.rows] == [
        ("sub-01", "ses-a"),
        ("sub-01", "ses-b"),
        ("sub-02", "ses-a"),
    ]
    with pytest.raises(InputError, match="no column age for the task age"):
        cohort.read(tmp_path, AGE)


def test_sessions_of_a_csv(folder):
    touch(folder, "b/sub-1_ses-x_T1w.nii")
    lines = ("image_path,label", "b/sub-1_ses-x_T1w.nii,20", "scan one.nii,30")
    assert [
        row.session
        for row in cohort.read(csv_of(folder, *lines), AGE, each_scan_is_a_person=True).rows
    ] == ["ses-x", None]
    lines = ("image_path,label,session", "b/sub-1_ses-x_T1w.nii,20,m06", "scan one.nii,30,")
    assert [
        row.session
        for row in cohort.read(csv_of(folder, *lines), AGE, each_scan_is_a_person=True).rows
    ] == ["m06", None]


def test_a_file_labels_any_task(folder):
    (folder / "iq.toml").write_text(
        'name = "iq"\nkind = "regression"\nunit = "points"\n'
        'label = "wais"\nvalid_range = [40, 160]\n',
        encoding="utf-8",
    )
    iq = tasks.get(str(folder / "iq.toml"))
    path = csv_of(folder, "image_path,wais,label", "scan one.nii,101,3", "scan two.nii,99,3")
    assert [row.label for row in cohort.read(path, iq, each_scan_is_a_person=True).rows] == [
        101.0,
        99.0,
    ]
    path = csv_of(folder, "image_path,wais", "scan one.nii,101", "scan two.nii,20")
    with pytest.raises(InputError, match="line 3: wais is 20 points; valid is 40 to 160"):
        cohort.read(path, iq)


@pytest.mark.parametrize(
    ("task", "cell", "said"),
    [
        (AGE, "", "age is ''"),
        (AGE, "NaN", "age is 'NaN'"),
        (AGE, "inf", "age is 'inf', which is not a finite number"),
        (AGE, "-3", "age is -3 years; valid is 0 to 120"),
        (SEX, "X", "sex is 'X'; valid are F, M, 0 and 1"),
        (SEX, "", "sex is ''"),
    ],
)
def test_bad_labels_are_named_by_file_and_line(folder, task, cell, said):
    path = csv_of(folder, "image_path,site,label", f"scan one.nii,A,{cell}")
    with pytest.raises(InputError, match=rf"cohort\.csv cannot be used: line 2: {said}"):
        cohort.read(path, task, strict=True)


def test_same_images_against_a_slow_reference(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, 100_000, dtype=np.uint8)
    contents = []
    for place in (None, 0, 30_000, 50_001, 99_999, None, 30_000, None):
        copy = base.copy()
        if place is not None:
            copy[place] ^= 1
        contents.append(copy.tobytes())
    contents += [b"", b"", b"x"]
    files = [tmp_path / f"{i}" for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    files.append(tmp_path)
    expected = [
        (i, contents.index(content))
        for i, content in enumerate(contents)
        if contents.index(content) < i
    ]
    assert same_images(files) == expected == [(5, 0), (6, 2), (7, 0), (9, 8)]
    assert same_images([tmp_path, files[0], tmp_path / "." / ""]) == [(2, 0)]


def test_a_name_that_no_file_can_have(folder):
    path = csv_of(folder, "image_path,label", f"{'x' * 4096}.nii,40", "\x1b[31m.nii,40")
    with pytest.raises(InputError, match=r"line 2: .* does not exist; line 3") as caught:
        cohort.read(path, AGE)
    assert len(str(caught.value)) < 2000
    assert "\x1b" not in str(caught.value)


def test_a_column_of_an_endless_name(folder):
    with pytest.raises(InputError, match="column name of more than 200 letters") as caught:
        cohort.read(csv_of(folder, f"image_path,{'x' * 50_000}", "a,1"), AGE)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "missing", ["n/a", "", "NA", "NaN", "None", "-", " n/a ", "89+", "89 +", ">89", "< 0.5", "8.5+"]
)
def test_a_missing_or_bounded_label_leaves_its_row_out_and_says_so(folder, missing):
    lines = ("image_path,label,subject", f"scan one.nii,{missing},p1", "scan two.nii,30,p2")
    read = cohort.read(csv_of(folder, *lines), AGE)
    assert [row.subject for row in read.rows] == ["p2"]
    (said,) = read.remarks
    assert said.startswith("1 left out for want of a value or a scan, such as line 2: age is ")
    with pytest.raises(InputError, match="line 2: age is "):
        cohort.read(csv_of(folder, *lines), AGE, strict=True)
    with pytest.raises(InputError, match=r"lists no scans that can be used\. 1 left out"):
        cohort.read(csv_of(folder, *lines[:2]), AGE)


def test_a_bound_on_an_age_says_that_it_is_one(folder):
    lines = ("image_path,label,subject", "scan one.nii,89+,p1", "scan two.nii,30,p2")
    (said,) = cohort.read(csv_of(folder, *lines), AGE).remarks
    assert "line 2: age is '89+', a bound and not a value" in said
    for word in ("89+y", "+", "about 89", "30+5"):  # no bound, and no number
        with pytest.raises(InputError, match="is not a number"):
            cohort.read(csv_of(folder, lines[0], f"scan one.nii,{word},p1", lines[2]), AGE)


def test_a_participant_or_session_without_a_value_costs_no_other(tmp_path):
    sessions_of(tmp_path)
    lines = ("participant_id\tage\tsex", "sub-01\t20\tF", "sub-02\tn/a\tM", "sub-09\t33\tF")
    csv_of(tmp_path, *lines, name="participants.tsv")
    csv_of(tmp_path, "session_id\tage", "a\t21", "b\tn/a", name="sub-01/sub-01_sessions.tsv")
    read = cohort.read(tmp_path, AGE)
    assert labels(read) == [("sub-01", "ses-a", 21.0)]
    assert read.remarks[0].startswith("3 left out for want of a value or a scan")
    assert len(cohort.read(tmp_path, SEX).rows) == 3


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_csv_as_spreadsheets_write_it(folder, mark):
    lines = ("image_path,age,site", "scan one.nii,34.5,x y", "scan two.nii,40,x y")
    path = csv_of(folder, *(line.replace(",", mark).replace("34.5", "34,5") for line in lines))
    assert [
        (row.label, row.site) for row in cohort.read(path, AGE, each_scan_is_a_person=True).rows
    ] == [
        (34.5, "x y"),
        (40.0, "x y"),
    ]
    path = csv_of(folder, *(line.replace(",", mark) for line in lines))
    assert cohort.read(path, AGE, each_scan_is_a_person=True).rows[0].label == 34.5


def test_a_comma_in_a_comma_separated_number_stays_an_error(folder):
    path = csv_of(folder, "image_path,age", 'scan one.nii,"34,5"')
    with pytest.raises(InputError, match="age is '34,5': write a decimal point"):
        cohort.read(path, AGE)


def sidecar(folder, text, name="participants.json"):
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("units", "cell", "years"),
    [
        ("years", "30", 30.0),
        ("months", "360", 30.0),
        ("Month", "360", 30.0),
        ("weeks", "521.786", 10.0),
        ("days", "7305", 20.0),
        ("age in days", "7305", 20.0),
        ("", "30", 30.0),
    ],
)
def test_units_of_the_sidecar_are_read(tmp_path, units, cell, years):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    csv_of(tmp_path, "participant_id\tage", f"sub-01\t{cell}", name="participants.tsv")
    sidecar(tmp_path, json.dumps({"age": {"Units": units}}))
    read = cohort.read(tmp_path, AGE)
    assert read.rows[0].label == pytest.approx(years, abs=0.01)
    assert bool(read.remarks) == (years != float(cell))


def test_a_unit_that_is_no_time_and_a_broken_sidecar_are_refused(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    csv_of(tmp_path, "participant_id\tage", "sub-01\t30", name="participants.tsv")
    for text, said in (
        ('{"age": {"Units": "mmHg"}}', "says that age is in 'mmHg', and the task age is in years"),
        ("{", r"participants\.json is not JSON"),
    ):
        sidecar(tmp_path, text)
        with pytest.raises(InputError, match=said):
            cohort.read(tmp_path, AGE)
    for text in ("[]", '{"age": 3}', '{"age": {"Units": 3}}', '{"sex": {"Units": "months"}}'):
        sidecar(tmp_path, text)
        assert cohort.read(tmp_path, AGE).rows[0].label == 30.0


def test_units_of_a_sessions_table_are_its_own(tmp_path):
    sessions_of(tmp_path)
    csv_of(tmp_path, "session_id\tage", "a\t240", "b\t252", name="sub-01/sub-01_sessions.tsv")
    sidecar(tmp_path, '{"age": {"Units": "months"}}', "sub-01/sub-01_sessions.json")
    assert [row.label for row in cohort.read(tmp_path, AGE).rows] == [20.0, 21.0, 30.0]


@pytest.mark.parametrize(
    ("levels", "cells", "wanted"),
    [
        ({"1": "female", "2": "male"}, ("1", "2"), [0.0, 1.0]),
        ({"0": "male", "1": "female"}, ("0", "1"), [1.0, 0.0]),
        ({"1": {"Description": "Male participants"}, "0": "Female"}, ("1", "0"), [1.0, 0.0]),
        ({"F": "Frau", "M": "Mann"}, ("F", "M"), [0.0, 1.0]),
        ({"F": "female", "M": "Mann"}, ("F", "M"), [0.0, 1.0]),
        ({"1": "female", "2": "male", "0": "unknown"}, ("0", "2"), [1.0]),
    ],
)
def test_levels_of_the_sidecar_say_what_a_code_means(tmp_path, levels, cells, wanted):
    touch(tmp_path, *(f"sub-0{i}/anat/sub-0{i}_T1w.nii.gz" for i in (1, 2)))
    lines = (f"sub-0{i}\t{cell}" for i, cell in enumerate(cells, 1))
    csv_of(tmp_path, "participant_id\tsex", *lines, name="participants.tsv")
    sidecar(tmp_path, json.dumps({"sex": {"Levels": levels}}))
    assert [row.label for row in cohort.read(tmp_path, SEX).rows] == wanted


def test_a_code_that_means_neither_class_is_refused(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    csv_of(tmp_path, "participant_id\tsex", "sub-01\t0", name="participants.tsv")
    sidecar(tmp_path, '{"sex": {"Levels": {"0": "phantom", "1": "male", "2": "female"}}}')
    with pytest.raises(InputError, match="line 2: sex is 'phantom'"):
        cohort.read(tmp_path, SEX)
