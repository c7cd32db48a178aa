"""A project's file: what it may say, what is said of what it may not, and that it is all there."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace

import pytest

from fmtool import project as projects
from fmtool.errors import InputError, UsageError
from fmtool.project.read import read
from fmtool.project.sections import SECTIONS, GeneralPlan, said
from fmtool.project.write import text
from fmtool.space import CROP_SHAPE

LEAST = 'name = "brains"\ncohort = "heads"\ntasks = ["age"]\n'


def plans(**general):
    known = {"name": "brains", "cohort": "heads", "tasks": ("age",)}
    return {"": GeneralPlan(**(known | general))} | {n: k() for n, k in SECTIONS.items() if n}


@pytest.fixture
def written(tmp_path):
    """`written(text)`: a project's folder with this file."""

    def write(content):
        (tmp_path / "fmtool.toml").write_text(content, encoding="utf-8")
        return tmp_path

    return write


def test_what_is_written_is_read_back_and_every_key_is_there_and_explained(written):
    given = plans(tasks=("age", 'a "b"\\c.toml', "é\x7f\n"), encoder="sub dir/e#.pt", jobs=3)
    given["pretrain"] = replace(given["pretrain"], epochs=7, learning_rate=1e-5)
    whole = text(given, ["Found that."], {"allow_sites": "this cohort is of A, B"})
    assert read(written(whole) / "fmtool.toml") == given
    data, before = tomllib.loads(whole), ""
    for section, kind in SECTIONS.items():
        table = data[section] if section else {k: data[k] for k in data if k not in SECTIONS}
        assert [f.name for f in fields(kind)] == list(table)
        assert said(kind).keys() == table.keys()
    for line in whole.splitlines():
        if " = " in line and not line.startswith("#"):
            assert before.startswith("# "), line
        before = line
    assert max(map(len, whole.splitlines())) <= 100
    assert "# Passes over the scans; default 1000\nepochs = 7" in whole
    assert "this cohort is of A, B\nallow_sites = false" in whole.replace("\n# ", " ")


def test_what_is_left_out_has_its_default(written):
    assert read(written(LEAST) / "fmtool.toml") == plans()
    assert read(written(LEAST + "[export]\nfp16 = true\n") / "fmtool.toml")["export"].fp16


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("epoch = 3\n[pretrain]\nepocs = 3\n", ["unknown key 'epocs' in [pretrain]", "'epochs'"]),
        ("taks = []\n[pretrian]\nepochs = 1\n", ["'taks'; the nearest is 'tasks'", "[pretrain]"]),
        ("epochs = 3\n", ["'epochs' at the top belongs to [pretrain] or [heads]"]),
        ("[heads]\nview = [1, 2, 3]\n", ["'view' in [heads] belongs to [pretrain]"]),
        ("[split]\nallow_sites = true\n", ["'allow_sites' in [split] belongs to the top"]),
        ("[pretrain]\nepochs = 3.5\n", ["[pretrain] epochs is 3.5; it is a whole number"]),
        ("[pretrain]\nepochs = true\n", ["[pretrain] epochs is True; it is a whole number"]),
        ("[pretrain]\nwidth = nan\n", ["[pretrain] width is nan; it is a number"]),
        ("[pretrain]\nview = [1, 2]\n", ["it is a list of 3"]),
        ("[pretrain]\nview = [1, 2, '3']\n", ["view, value 3, is '3'; it is a whole number"]),
        ("[pretrain]\nrecipe = 'simclear'\n", ["'simclear'; there are simclr, mae"]),
        ("[export]\nfp16 = 1\n", ["[export] fp16 is 1; it is true or false"]),
        ("export = true\n", ["export is a section, [export]"]),
        ("runs = 3\n", ["runs is 3; it is a text"]),
        ("name = 'two'\n", ["is not TOML"]),
        ("[pretrain\n", ["is not TOML"]),
    ],
)
def test_what_cannot_be_is_named_with_the_right_one(written, more, words):
    with pytest.raises(InputError) as caught:
        projects.open(written(LEAST + more))
    assert str(caught.value).startswith(str(written(LEAST + more) / "fmtool.toml"))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('name = "a"\ntasks = []\n', "'cohort' is missing"),
        (LEAST.replace("heads", ""), "cohort is empty"),
        (LEAST.replace("brains", "../x"), "it names a folder"),
        (LEAST.replace("brains", ""), "it names a folder"),
    ],
)
def test_what_a_project_cannot_do_without(written, content, words):
    with pytest.raises(InputError, match=words):
        projects.open(written(content))


def test_paths_are_the_files(written, monkeypatch):
    folder = written(LEAST.replace("heads", "../data/heads") + 'preprocessing = "p.fmtool"\n')
    monkeypatch.chdir("/")
    found = projects.open(folder)
    assert found.cohort == folder / "../data/heads"
    assert found.preprocessing == folder / "p.fmtool"
    assert found.bundle == folder / "brains.fmtool"
    assert found.encoder == found.start == folder / "runs" / "pretrain" / "encoder"
    assert found.head_files == [folder / "runs" / "heads" / "age.json"]
    assert projects.open(written(LEAST + "cache = '/tmp/c'\n")).cache.as_posix() == "/tmp/c"


def test_finetune_has_a_folder_of_its_task_or_of_several_together(written):
    tuned = "[heads]\nrecipe = 'finetune'\n"
    found = projects.open(written(LEAST + tuned))
    assert found.encoder == found.folder / "runs" / "age" / "encoder"
    assert found.head_files == [found.folder / "runs" / "age" / "head.json"]
    several = projects.open(written(LEAST.replace('"age"', '"age", "sex"') + tuned))
    joint = several.folder / "runs" / "joint"
    assert several.encoder == joint / "encoder"
    assert several.head_files == [joint / "heads" / "age.json", joint / "heads" / "sex.json"]


def test_tasks_of_files_are_the_files(written):
    folder = written(LEAST.replace('"age"', '"age", "hand.toml"'))
    (folder / "hand.toml").write_text(
        'name = "hand"\nkind = "binary"\nlabel = "hand"\nclasses = ["R", "L"]\n'
    )
    found = projects.open(folder)
    assert found.tasks == {"age": "age", "hand": str(folder / "hand.toml")}
    with pytest.raises(InputError, match="tasks is empty; name what to predict"):
        _ = projects.open(written(LEAST.replace('"age"', ""))).tasks
    with pytest.raises(InputError, match="age twice"):
        _ = projects.open(written(LEAST.replace('"age"', '"age", "age"'))).tasks
    text = (folder / "hand.toml").read_text()
    (folder / "other.toml").write_text(text.replace('"hand"', '"Hand"', 1))
    with pytest.raises(InputError, match="Hand twice"):  # one file to macOS and Windows
        _ = projects.open(written(LEAST.replace('"age"', '"hand.toml", "other.toml"'))).tasks
    with pytest.raises(UsageError, match="unknown task 'iq'"):
        _ = projects.open(written(LEAST.replace('"age"', '"iq"'))).tasks


def test_a_project_is_of_the_working_folder_or_of_the_one_named(written, monkeypatch, tmp_path):
    folder = written(LEAST)
    inside = folder / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert projects.find() is None  # not of a folder above: a bundle is not chosen from afar
    with pytest.raises(InputError, match=r"holds no fmtool\.toml"):
        projects.find(inside)
    assert projects.find(folder).general.name == "brains"
    monkeypatch.chdir(folder)
    assert projects.find().bundle.name == "brains.fmtool"
    with pytest.raises(InputError, match=r"brains\.fmtool is not there yet: `fmtool train`"):
        projects.find().made()


def test_the_defaults_are_those_of_the_steps():
    pytest.importorskip("torch")
    from inspect import signature

    from fmtool.cli.train import run_options, simclr

    pretrain, heads, devices = (SECTIONS[name]() for name in ("pretrain", "heads", "devices"))
    for plan, settings in (
        (pretrain, run_options.PRETRAINING),
        (heads, run_options.FROM_LABELS),
        (devices, run_options.PRETRAINING),
    ):
        for field in fields(plan):
            default = getattr(settings, field.name, None)
            if default is not None and (plan, field.name) != (heads, "seed"):
                assert getattr(plan, field.name) == default, field.name
    verb = signature(simclr.simclr).parameters
    for name in ("architecture", "width", "view", "min_crop", "temperature"):
        assert getattr(pretrain, name) == getattr(verb[name].default, "value", verb[name].default)
    assert ",".join(pretrain.parts) == verb["parts"].default
    assert pretrain.view == CROP_SHAPE
