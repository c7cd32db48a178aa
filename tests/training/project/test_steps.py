"""`fmtool train` in a project: what is done is not done again, and what was killed goes on.

The trainings themselves are replaced by what they leave behind.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from fmtool import project as projects
from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training.evidence.head import Head
from training.fit.loop import TrainingStopped
from training.project import steps

FILE = """
name = "brains"
cohort = "scans.csv"
tasks = ["age", "sex"]
[pretrain]
epochs = 3
width = 0.03125
"""


class Killed(BaseException):
    """As SIGKILL: nothing after it is done."""


@pytest.fixture
def folder(tmp_path):
    lines = ["image_path,subject,age,sex"]
    for number in range(12):
        (tmp_path / f"{number}.nii.gz").write_bytes(str(number).encode())
        lines.append(f"{number}.nii.gz,s{number},{20 + number},{'FM'[number % 2]}")
    (tmp_path / "scans.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "fmtool.toml").write_text(FILE)
    return tmp_path


@pytest.fixture
def done(monkeypatch):
    """Which trainings were run, in order; one that is in `fatal` is killed while it runs."""
    ran, fatal = [], set()

    def work(name):
        ran.append(name)
        if name in fatal:
            raise Killed

    def usable(cohort, folder, bundle, jobs, remark):
        work("prepare")
        return cohort, [SimpleNamespace(facts={"digest": row.image.name}) for row in cohort.rows]

    def pretrain(table, recipe, files, settings, remark, split):
        work("pretrain")
        assert files.resume
        assert settings.epochs == recipe_epochs[0]
        (files.out / "encoder").mkdir(parents=True, exist_ok=True)
        (files.out / "encoder" / "encoder.json").write_text(f"{settings.epochs}")

    def probe(table, task, encoder, out, *more):
        work(task)
        head = Head(AGE, np.ones(2), 0.0, {}, "")
        head.save(out)
        return SimpleNamespace(head=head)

    recipe_epochs = [3]
    monkeypatch.setattr(steps, "usable", usable)
    monkeypatch.setattr(steps.pretrain, "run", pretrain)
    monkeypatch.setattr(steps.linear_probe, "run", probe)
    return SimpleNamespace(ran=ran, fatal=fatal, epochs=recipe_epochs)


def train(folder):
    return [(s.name, s.again) for s in steps.train(projects.open(folder), lambda sentence: None)]


def test_all_once_and_then_nothing(folder, done):
    first = [("prepare", False), ("pretrain", False), ("age", False), ("sex", False)]
    assert train(folder) == first
    assert done.ran == ["prepare", "pretrain", "age", "sex"]
    done.ran.clear()
    assert train(folder) == [(name, name != "prepare") for name, _ in first]
    assert done.ran == ["prepare"]  # which finds what it has


@pytest.mark.parametrize("step", ["prepare", "pretrain", "age", "sex"])
def test_killed_in_a_step_goes_on_with_it(folder, done, step):
    done.fatal.add(step)
    with pytest.raises(Killed):
        train(folder)
    done.fatal.clear()
    before = done.ran[:-1]
    done.ran.clear()
    assert [again for _, again in train(folder)][1:] == [
        name in before for name in ("pretrain", "age", "sex")
    ]
    assert [name for name in before if name in done.ran] in ([], ["prepare"])


def test_what_the_file_changes_is_made_anew_and_what_follows_from_it(folder, done):
    train(folder)
    done.ran.clear()
    done.epochs[0] = 5
    (folder / "fmtool.toml").write_text(FILE.replace("epochs = 3", "epochs = 5"))
    train(folder)
    assert done.ran == ["prepare", "pretrain", "age", "sex"]
    done.ran.clear()
    table = (folder / "scans.csv").read_text()
    (folder / "scans.csv").write_text(table.replace("s3,23,M", "s3,24,M"))
    train(folder)
    assert done.ran == ["prepare", "age"]  # an age is nothing to the encoder, nor to sex
    done.ran.clear()
    (folder / "runs" / "heads" / "sex.json").unlink()
    train(folder)
    assert done.ran == ["prepare", "sex"]


def test_labels_are_read_before_hours_of_work(folder, done):
    table = (folder / "scans.csv").read_text()
    (folder / "scans.csv").write_text(table.replace("s3,23,M", "s3,23,both"))
    with pytest.raises(InputError, match="line 5: sex is 'both'"):
        train(folder)
    assert done.ran == []


def test_an_encoder_of_ones_own_is_not_pretrained(folder, done):
    own = folder / "own"
    (folder / "fmtool.toml").write_text('encoder = "own"\n' + FILE)
    with pytest.raises(InputError, match=r"encoder .*own does not exist"):
        train(folder)
    own.mkdir()
    (own / "encoder.json").write_text("{}")
    done.ran.clear()
    train(folder)
    assert done.ran == ["prepare", "age", "sex"]


def test_a_split_is_kept_and_one_of_other_labels_is_refused(folder, done, monkeypatch):
    asked = []

    def tune(table, wanted, recipe, encoder_of, files, settings, remark):
        asked.append(wanted.split)
        head = Head(AGE, np.ones(2), 0.0, {}, "")
        files.out.mkdir(parents=True, exist_ok=True)
        head.save(files.out / "head.json")
        return [SimpleNamespace(head=head)]

    monkeypatch.setattr(steps.from_labels, "run", tune)
    tuned = FILE.replace(', "sex"', "") + '[heads]\nrecipe = "finetune"\n'
    (folder / "fmtool.toml").write_text(tuned)
    names = ["prepare", "split", "pretrain", "age"]
    assert [name for name, _ in train(folder)] == names
    made = asked[0].read_bytes()
    assert train(folder)[1:] == [(name, True) for name in names[1:]]
    assert len(asked) == 1
    asked[0].unlink()  # lost: the same again, from the seed
    train(folder)
    assert json.loads(asked[0].read_bytes()) == json.loads(made)
    (folder / "fmtool.toml").write_text(tuned + "[split]\nseed = 1\n")
    with pytest.raises(InputError, match=r"is another split than .* give now"):
        train(folder)
    assert asked[0].read_bytes() == made


def test_several_tasks_tune_one_encoder_together(folder, done, monkeypatch):
    asked = []

    def tune(table, wanted, recipe, encoder_of, files, settings, remark):
        asked.append((wanted, json.loads(wanted.split.read_text())))
        heads = [Head(task, np.ones(2), 0.0, {}, "") for task in (AGE, SEX)]
        for head in heads:
            place = files.out / wanted.head_of(head.task.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            head.save(place)
        return [SimpleNamespace(head=head) for head in heads]

    monkeypatch.setattr(steps.from_labels, "run", tune)
    (folder / "fmtool.toml").write_text(FILE + '[heads]\nrecipe = "finetune"\n')
    names = ["prepare", "split", "pretrain", "age", "sex"]
    assert [name for name, _ in train(folder)] == names
    ((wanted, parted),) = asked
    assert wanted.tasks == ["age", "sex"]
    assert parted["task"] is None
    assert (folder / "runs" / "joint" / "heads" / "sex.json").is_file()
    assert train(folder)[1:] == [(name, True) for name in names[1:]]
    (folder / "runs" / "joint" / "heads" / "sex.json").unlink()
    train(folder)
    assert len(asked) == 2


def test_stopped_by_a_signal_says_what_goes_on(folder, done, monkeypatch):
    def stopped(*given):
        raise TrainingStopped("stopped by SIGTERM after step 7; go on with --resume")

    monkeypatch.setattr(steps.pretrain, "run", stopped)
    with pytest.raises(TrainingStopped, match="after step 7; `fmtool train` goes on from there"):
        train(folder)


def test_a_damaged_record_is_said(folder, done):
    (folder / "runs").mkdir()
    (folder / "runs" / "done.json").write_text("{")
    with pytest.raises(InputError, match=r"done\.json is damaged; remove it"):
        train(folder)
