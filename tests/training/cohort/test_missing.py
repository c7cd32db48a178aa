"""What tables lack, and how they are divided: left out and said, or named with the way out."""

from __future__ import annotations

import pytest

from fmtool.errors import InputError
from fmtool.task import AGE
from training import cohort


def table(folder, text, name="cohort.csv"):
    for i in range(3):
        (folder / f"{i}.nii").write_bytes(bytes([i]))
        anat = folder / f"sub-{i}" / "anat"
        anat.mkdir(parents=True, exist_ok=True)
        (anat / f"sub-{i}_T1w.nii.gz").write_bytes(bytes([9, i]))
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2.nii,n/a,s2,A", "age is 'n/a'"),
        ("2.nii,50,N/A,A", "subject is 'N/A'"),
        ("n/a,50,s2,A", "image_path is 'n/a'"),
    ],
)
def test_a_row_without_a_value_is_left_out_and_said_or_refused(tmp_path, line, why):
    path = table(tmp_path, f"image_path,age,subject,site\n0.nii,30,s0,A\n1.nii,40,s1,A\n{line}\n")
    read = cohort.read(path, AGE)
    assert read.subjects == ["s0", "s1"]
    assert read.remarks == [f"1 left out for want of a value or a scan, such as line 4: {why}."]
    with pytest.raises(InputError, match="line 4"):
        cohort.read(path, AGE, strict=True)


def test_no_site_and_no_mask_are_none_however_they_are_written(tmp_path):
    lines = "0.nii,n/a,30,s0,n/a\n1.nii,,40,s1,\n2.nii,none,50,s2,unknown\n"
    read = cohort.read(table(tmp_path, f"image_path,mask_path,age,subject,site\n{lines}"), AGE)
    assert [(row.mask, row.site) for row in read.rows] == [(None, None)] * 3


@pytest.mark.parametrize(
    ("mark", "name"), [("\t", ""), (",", "commas"), (";", "semicolons")], ids=["tab", ",", ";"]
)
def test_participants_are_read_however_their_table_is_divided(tmp_path, mark, name):
    number = "40,5" if mark != "," else "40.5"
    rows = [["participant_id", "age"], ["sub-0", "30"], ["sub-1", number], ["n/a", "9"]]
    text = "\n".join(mark.join(row) for row in rows) + "\n"
    table(tmp_path, text, "participants.tsv")
    read = cohort.read(tmp_path, AGE)
    assert list(read.labels) == [30.0, 40.5]
    assert any("participant_id is 'n/a'" in said for said in read.remarks)
    said = [remark for remark in read.remarks if "divides its cells" in remark]
    wanted = f"participants.tsv divides its cells by {name}, not by tabs: read so."
    assert said == [wanted][: bool(name)]


def test_a_tabbed_table_may_have_commas_in_its_names(tmp_path):
    table(tmp_path, "participant_id\tage\tnotes, a, b\nsub-0\t30\tx, y\n", "participants.tsv")
    assert list(cohort.read(tmp_path, AGE).labels) == [30.0]


def test_a_decimal_comma_among_commas_is_named_with_the_way_out(tmp_path):
    path = table(tmp_path, 'image_path,age,subject\n0.nii,"34,5",s0\n')
    with pytest.raises(InputError, match=r"age is '34,5': write a decimal point, 34\.5, or divide"):
        cohort.read(path, AGE)
