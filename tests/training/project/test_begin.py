"""`fmtool init`: what it finds in a folder, what it writes, and what it leaves to the user."""

from __future__ import annotations

import pytest

from fmtool import project as projects
from fmtool.errors import InputError, UsageError
from training.project import begin as module
from training.project.begin import begin

HAND = 'name = "hand"\nkind = "binary"\nlabel = "hand"\nclasses = ["R", "L"]\n'


def bids(folder, columns, rows, sessions=()):
    """A BIDS folder of empty scans: `rows` are participants' cells."""
    folder.mkdir(parents=True)
    lines = ["\t".join(("participant_id", *columns))]
    for number, cells in enumerate(rows, 1):
        who = f"sub-{number:02d}"
        lines.append("\t".join((who, *map(str, cells))))
        for session in sessions or (None,):
            place = folder / who / (session or "") / "anat"
            place.mkdir(parents=True)
            name = "_".join(filter(None, (who, session, "T1w.nii.gz")))
            (place / name).write_bytes(f"{who} {session}".encode())
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return folder


def adults(count=12):
    return [(20 + 3 * i, "FM"[i % 2]) for i in range(count)]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(module.cuda, "missing", lambda: "no GPU is here")


def test_a_bids_folder_its_tasks_sessions_and_what_the_machine_can(tmp_path):
    bids(tmp_path / "heads", ("age", "sex"), adults(), ("ses-1", "ses-2"))
    (tmp_path / "hand.toml").write_text(HAND)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    said = " ".join(begin(tmp_path, None))
    assert "BIDS, 12 subjects, 24 scans (raw), 2 sessions" in said
    assert "The task age: 24 labels, 20 to 53 years." in said
    assert "The task sex: 24 labels, 12 F, 12 M." in said
    assert "no GPU is here" in said
    found = projects.open(tmp_path)
    assert found.general.cohort == "heads"
    assert found.general.tasks == ("age", "sex")
    assert found.general.name == tmp_path.name
    assert found.pretrain == module.LIGHT
    text = found.file.read_text()
    assert "# The task sex: 24 labels, 12 F, 12 M." in text
    with pytest.raises(InputError, match="is there and left as it is"):
        begin(tmp_path, None)
    assert found.file.read_text() == text


def test_with_a_gpu_the_papers_size(tmp_path, monkeypatch):
    monkeypatch.setattr(module.cuda, "missing", lambda: None)
    bids(tmp_path / "heads", ("age",), [(age,) for age, _ in adults()])
    begin(tmp_path, None)
    assert projects.open(tmp_path).pretrain == projects.PretrainPlan()


def test_a_task_whose_labels_will_not_do_is_left_out_with_the_reason(tmp_path):
    rows = [(20 + i, "F" if i else "M", "MCI" if i else "CN", "RL"[i % 2]) for i in range(14)]
    bids(tmp_path / "heads", ("age", "sex", "diagnosis", "hand"), rows)
    (tmp_path / "hand.toml").write_text(HAND)
    said = " ".join(begin(tmp_path, None))
    assert projects.open(tmp_path).general.tasks == ("age", "hand.toml")
    assert "The task sex is left out: 1 subjects of class M are too few for a probe of sex" in said
    assert "The task alzheimers is left out" in said
    assert "stroke_scale" not in said  # no column, no word


def test_sites_are_told_and_accepted_by_nobody_but_the_user(tmp_path):
    rows = [(age, "AB"[i % 2]) for i, (age, _) in enumerate(adults())]
    bids(tmp_path / "heads", ("age", "site"), rows)
    assert "The rows come from 2 sites: A, B." in " ".join(begin(tmp_path, None))
    found = projects.open(tmp_path)
    assert not found.general.allow_sites
    assert found.general.tasks == ("age",)
    assert "this cohort is of A, B" in found.file.read_text()


def csv(folder, header, rows):
    folder.mkdir(exist_ok=True)
    lines = [header]
    for number, cells in enumerate(rows):
        (folder / f"{number}.nii.gz").write_bytes(str(number).encode())
        lines.append(f"{number}.nii.gz,{cells},s{number}")
    (folder / "scans.csv").write_text("\n".join(lines) + "\n")
    return folder / "scans.csv"


def test_a_csv_and_a_column_that_says_nothing_of_its_task(tmp_path):
    csv(tmp_path, "image_path,label,subject", [20 + i for i in range(12)])
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    said = " ".join(begin(tmp_path, None))
    assert "CSV, 12 subjects, 12 scans (raw)" in said
    assert "No task is chosen: set tasks" in said
    assert projects.open(tmp_path).general.tasks == ()
    (tmp_path / "fmtool.toml").unlink()
    begin(tmp_path, None, ["age"])
    assert projects.open(tmp_path).general.tasks == ("age",)


def test_what_cannot_be_begun_writes_nothing(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no cohort.*fmtool init COHORT"):
        begin(empty, None)
    for name in ("a", "b"):
        bids(tmp_path / name, ("age",), [(age,) for age, _ in adults()])
    with pytest.raises(InputError, match="holds 2 cohorts, a, b; name one"):
        begin(tmp_path, None)
    with pytest.raises(InputError, match="does not exist"):
        begin(empty, tmp_path / "absent.csv")
    with pytest.raises(InputError, match="no column sex"):
        begin(empty, tmp_path / "a", ["sex"])
    with pytest.raises(UsageError, match="unknown task 'iq'"):
        begin(empty, tmp_path / "a", ["iq"])
    with pytest.raises(InputError, match="is not a folder"):
        begin(tmp_path / "absent", tmp_path / "a")
    assert list(empty.iterdir()) == []
    begin(empty, tmp_path / "a")  # beside the project's folder: by its whole path
    assert projects.open(empty).general.cohort == str(tmp_path / "a")


def test_the_folder_itself_may_be_the_cohort_and_a_bundle_there_is_not_the_projects(tmp_path):
    bids(tmp_path / "study", ("age",), [(age,) for age, _ in adults()])
    (tmp_path / "study" / "study.fmtool").mkdir()
    begin(tmp_path / "study", None)
    found = projects.open(tmp_path / "study")
    assert (found.general.cohort, found.general.name) == (".", "study-2")
