"""Labels become numbers, and what cannot be true is refused by name."""

import pytest

from fmtool import task
from fmtool.errors import InputError, UsageError


def test_the_papers_four_tasks_are_built_in():
    assert list(task.BUILT_IN) == ["age", "sex", "alzheimers", "stroke_scale"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("age", "42", 42.0),
        ("age", " 0.5 ", 0.5),
        ("sex", "M", 1.0),
        ("sex", "female", 0.0),
        ("sex", "1", 1.0),
        ("alzheimers", "AD", 1.0),
        ("alzheimers", "cn", 0.0),
        ("stroke_scale", "42", 42.0),
    ],
)
def test_labels(name, text, value):
    assert task.get(name).parse_label(text) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("age", "", "not a number"),
        ("age", "n/a", "not a number"),
        ("age", "nan", "0 to 120"),
        ("age", "130", "valid is 0 to 120"),
        ("sex", "X", "valid are F, M, 0 and 1"),
        ("alzheimers", "MCI", "valid are CN, AD"),
        ("stroke_scale", "43", "0 to 42"),
    ],
)
def test_bad_labels_say_what_is_valid(name, text, said):
    with pytest.raises(InputError, match=said):
        task.get(name).parse_label(text)


def test_an_unknown_task_lists_the_known():
    with pytest.raises(UsageError, match="'iq'; there are age, sex, alzheimers, stroke_scale"):
        task.get("iq")


@pytest.mark.parametrize("name", task.BUILT_IN)
def test_plain_data_and_back(name):
    assert task.Task.from_dict(task.get(name).to_dict()) == task.get(name)
