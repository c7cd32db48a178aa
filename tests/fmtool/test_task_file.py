"""Tasks from TOML: what a file may say, and one clear sentence for what it may not."""

from __future__ import annotations

import pytest

from fmtool import task
from fmtool.errors import InputError
from fmtool.task import AGE, Task

REGRESSION = {"name": '"gap"', "kind": '"regression"', "unit": '"years"', "label": '"gap"'}
BINARY = {"name": '"mci"', "kind": '"binary"', "label": '"dx"', "classes": '["CN", "MCI"]'}


@pytest.fixture
def read(tmp_path):
    def run(values):
        path = tmp_path / "mine.toml"
        path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
        return task.read(path)

    return run


def test_both_kinds(read):
    assert read(REGRESSION) == Task("gap", "regression", "years", "gap")
    ranged = read(REGRESSION | {"valid_range": "[-40, 40.5]"})
    assert ranged == Task("gap", "regression", "years", "gap", (-40.0, 40.5))
    assert read(BINARY) == Task("mci", "binary", "probability", "dx", classes=("CN", "MCI"))
    assert read(BINARY | {"unit": '"probability"'}) == read(BINARY)
    assert [read(BINARY).parse_label(text) for text in ("cn", "MCI", "1")] == [0.0, 1.0, 1.0]


def test_a_built_in_name_keeps_its_meaning(read):
    same = {"name": '"age"', "kind": '"regression"', "unit": '"years"', "label": '"age"'}
    assert read(same | {"valid_range": "[0.0, 120.0]"}) == AGE
    with pytest.raises(InputError, match="age is built in with another meaning"):
        read(same | {"unit": '"months"'})


@pytest.mark.parametrize("name", ["2y", "a b", "", "a-b", "é", "x" * 65, "../x", "a\\n"])
def test_a_name_is_an_identifier(read, name):
    with pytest.raises(InputError, match=r"mine\.toml: name is .* needs a letter"):
        read(REGRESSION | {"name": f'"{name}"'})


@pytest.mark.parametrize("name", ["con", "AUX", "nul", "COM1", "lpt9"])
def test_a_name_is_one_of_a_file_on_windows(read, name):
    with pytest.raises(InputError, match=f"name is '{name}', which no file can have on Windows"):
        read(REGRESSION | {"name": f'"{name}"'})
    assert read(REGRESSION | {"name": f'"{name}_score"'}).name == f"{name}_score"


@pytest.mark.parametrize(
    ("base", "changes", "said"),
    [
        (REGRESSION, {"units": '"years"'}, "unknown key 'units'; a task has name, kind"),
        (REGRESSION, {"kind": '"nominal"'}, "kind is 'nominal'"),
        (REGRESSION, {"kind": "[1]"}, r"kind is \[1\]"),
        (REGRESSION, {"kind": None}, "'kind' is missing"),
        (REGRESSION, {"unit": None}, "'unit' is missing; a regression task"),
        (REGRESSION, {"unit": '""'}, "unit is ''"),
        (REGRESSION, {"label": "3"}, "label is 3"),
        (REGRESSION, {"label": '"a\\nb"'}, "label is"),
        (REGRESSION, {"name": '"mask"'}, "the model itself uses"),
        (REGRESSION, {"classes": '["a", "b"]'}, "'classes' makes no sense for a regression"),
        (REGRESSION, {"valid_range": "[5, 1]"}, "the smaller number comes first"),
        (REGRESSION, {"valid_range": "[1, 1]"}, "the smaller number comes first"),
        (REGRESSION, {"valid_range": "[1]"}, "needs two numbers"),
        (REGRESSION, {"valid_range": "[nan, 1]"}, "needs two numbers"),
        (REGRESSION, {"valid_range": "[0, inf]"}, "needs two numbers"),
        (REGRESSION, {"valid_range": f"[0, 1{'0' * 400}]"}, "needs two numbers"),
        (REGRESSION, {"valid_range": "[true, 2]"}, "needs two numbers"),
        (BINARY, {"classes": None}, "'classes' is missing; a binary task"),
        (BINARY, {"classes": '["a", "b", "c"]'}, "a binary task has two"),
        (BINARY, {"classes": '["a", "A"]'}, "differ by more than case"),
        (BINARY, {"classes": '["1", "0"]'}, "0 always means the first"),
        (BINARY, {"classes": "[0, 1]"}, "a class is 0"),
        (BINARY, {"valid_range": "[0, 1]"}, "'valid_range' makes no sense for a binary"),
        (BINARY, {"unit": '"years"'}, 'the unit of a binary task is "probability"'),
    ],
)
def test_what_a_file_may_not_say(read, base, changes, said):
    values = {k: v for k, v in (base | changes).items() if v is not None}
    with pytest.raises(InputError, match=said):
        read(values)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"a = " + b"[" * 30000, "is not TOML"),
        (b"#" * 70000, "larger than 64 KiB"),
        (b"", "'kind' is missing"),
    ],
)
def test_files_that_are_none(tmp_path, content, said):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        task.read(path)
    with pytest.raises(InputError, match="does not exist or is not a file"):
        task.read(tmp_path)


def test_a_number_of_thousands_of_digits(tmp_path):
    path = tmp_path / "task.toml"
    path.write_text(f"name = {'9' * 5000}\n")
    with pytest.raises(InputError, match="is not TOML") as caught:
        task.read(path)
    assert len(str(caught.value)) < 500


MULTICLASS = {"name": '"dx"', "kind": '"multiclass"', "label": '"dx"'}


def test_three_classes_and_more(read):
    made = read(MULTICLASS | {"classes": '["CN", "MCI", "AD"]'})
    assert made == Task("dx", "multiclass", "probability", "dx", classes=("CN", "MCI", "AD"))
    assert (made.outputs, AGE.outputs, task.SEX.outputs) == (3, 1, 1)
    assert [made.parse_label(t) for t in ("cn", " AD ", "1", "2.0")] == [0.0, 2.0, 1.0, 2.0]
    for cell in ("SCD", "3", "-1", "0.5", "", "nan", "inf"):
        with pytest.raises(InputError, match=r"dx is .*; valid are CN, MCI, AD, and 0 to 2"):
            made.parse_label(cell)
    assert Task.from_dict(made.to_dict()) == made


def test_classes_that_are_numbers_are_not_taken_for_positions(read):
    grades = read(MULTICLASS | {"classes": '["0", "0.5", "1", "2"]'})
    assert [grades.parse_label(t) for t in ("0", ".5", "1.0", "2")] == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(InputError, match=r"dx is '3'; valid are 0, 0\.5, 1, 2$"):
        grades.parse_label("3")


ORDINAL = {"name": '"stage"', "kind": '"ordinal"', "label": '"stage"'}


def test_classes_in_an_order(read):
    made = read(ORDINAL | {"classes": '["none", "mild", "severe"]'})
    assert made == Task(
        "stage", "ordinal", "probability", "stage", classes=("none", "mild", "severe")
    )
    assert (made.outputs, made.logits, task.DIAGNOSIS.logits, AGE.logits) == (1, 2, 3, 1)
    assert [made.parse_label(t) for t in ("None", "2", " mild")] == [0.0, 2.0, 1.0]
    assert Task.from_dict(made.to_dict()) == made
    assert made.slack(40.0) == 1.0  # a threshold may lie there
    falling = read(ORDINAL | {"classes": '["30", "20", "10"]'})
    assert falling.parse_label("10.0") == 2.0
    for classes, said in (
        ('["0", "2", "1"]', "stand from least to most"),
        ('["a", "b"]', 'an ordinal task has 3 to 32, of two, kind is "binary"'),
        ('"none"', 'such as \\["none", "mild", "severe"\\], in order'),
    ):
        with pytest.raises(InputError, match=said):
            read(ORDINAL | {"classes": classes})
    with pytest.raises(InputError, match="'valid_range' makes no sense for an ordinal task"):
        read(ORDINAL | {"classes": '["a", "b", "c"]', "valid_range": "[0, 1]"})


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ('["CN", "AD"]', 'of two, kind is "binary"'),
        ('"CN"', "a multiclass task has 3 to 32, such as"),
        ('["CN", "AD", "cn"]', "any two must differ"),
        ('["1", "1.0", "2"]', "any two must differ"),
        ("[0, 1, 2]", "a class is 0"),
        ('["a", "b", ""]', "a class is ''"),
        (f"{[f'c{i}' for i in range(33)]}", "3 to 32"),
    ],
)
def test_what_several_classes_may_not_be(read, classes, said):
    with pytest.raises(InputError, match=said):
        read(MULTICLASS | {"classes": classes})


def test_three_classes_of_a_binary_task_are_told_the_kind(read):
    with pytest.raises(InputError, match='of three or more, kind is "multiclass", or "ordin'):
        read(BINARY | {"classes": '["a", "b", "c"]'})


def test_an_earlier_bundles_own_diagnosis_is_read_and_a_new_file_is_refused(read):
    own = {"name": "diagnosis", "kind": "binary", "label": "dx", "classes": ["CN", "MCI"]}
    assert Task.from_dict(own).kind == "binary"
    with pytest.raises(InputError, match="diagnosis is built in with another meaning"):
        read(BINARY | {"name": '"diagnosis"'})
