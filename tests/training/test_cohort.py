"""Cohorts from CSV and BIDS: what is accepted, and what is refused with its line."""

from __future__ import annotations

import pytest

from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training import cohort


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}")


def csv_of(folder, *lines, name="cohort.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
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
    first, second, third = cohort.read(path, AGE).rows
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
        cohort.read(path, AGE)
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


@pytest.mark.parametrize("second", ["B", ""])
def test_sites_are_never_mixed_silently(folder, second):
    rows = ("scan one.nii,20,A", f"scan two.nii,30,{second}")
    path = csv_of(folder, "image_path,label,site", *rows)
    with pytest.raises(InputError, match="mixes 2 sites"):
        cohort.read(path, AGE)
    allowed = cohort.read(path, AGE, allow_sites=True)
    assert len(allowed.rows) == 2
    assert "2 sites" in allowed.remarks[0]


def test_bids_problems(folder):
    lines = ("participant_id\tage", "sub-01\tn/a", "sub-77\t20", "sub-*\t30", "../x\t30")
    csv_of(folder, *lines, name="participants.tsv")
    with pytest.raises(InputError) as caught:
        cohort.read(folder, AGE)
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
        (b"\xff\xfe\x00\x80", "not a readable text table"),
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
