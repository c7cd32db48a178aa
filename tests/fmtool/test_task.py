"""Labels become numbers, and what cannot be true is refused by name."""

import numpy as np
import pytest

from fmtool import task
from fmtool.errors import InputError, UsageError


def test_the_papers_four_tasks_are_built_in():
    assert list(task.BUILT_IN)[:4] == ["age", "sex", "alzheimers", "stroke_scale"]


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
        ("age", "nan", "not a finite number"),
        ("age", "-inf", "not a finite number"),
        ("age", "1e999", "not a finite number"),
        ("age", "-1", "valid is 0 to 120"),
        ("age", "130", "valid is 0 to 120"),
        ("sex", "X", "valid are F, M, 0 and 1"),
        ("sex", "", "valid are F, M, 0 and 1"),
        ("sex", "2", "valid are F, M, 0 and 1"),
        ("alzheimers", "MCI", "valid are CN, AD"),
        ("stroke_scale", "43", "0 to 42"),
    ],
)
def test_bad_labels_say_what_is_valid(name, text, said):
    with pytest.raises(InputError, match=said):
        task.get(name).parse_label(text)


def test_only_a_logit_that_is_sure_may_be_off_by_more():
    assert [task.SEX.slack(logit) for logit in (0.0, 4.0, -4.0)] == [1.0, 1.0, 1.0]
    assert [task.SEX.slack(logit) for logit in (8.0, -6.0)] == [2.0, 1.5]
    assert task.AGE.slack(80.0) == 1.0
    for logit in np.linspace(4, 40, 50):  # what the docstring promises
        moved = 1 / (1 + np.exp(-logit)) - 1 / (1 + np.exp(0.2 * task.SEX.slack(logit) - logit))
        assert moved < 0.004


def test_infinity_is_no_label_without_a_range_either():
    score = task.Task("score", "regression", "points", "score")
    assert score.parse_label("-1e6") == -1e6
    with pytest.raises(InputError, match="score is 'inf', which is not a finite number"):
        score.parse_label("inf")


def test_an_unknown_task_lists_the_known():
    with pytest.raises(UsageError, match="'iq'; there are age, sex, alzheimers, stroke_scale"):
        task.get("iq")


def test_a_file_is_a_task_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name="gap"\nkind="regression"\nunit="years"\nlabel="gap"\n')
    assert task.get(str(path)) == task.Task("gap", "regression", "years", "gap")
    with pytest.raises(InputError, match=r"absent\.toml does not exist"):
        task.get("absent.toml")


@pytest.mark.parametrize("name", task.BUILT_IN)
def test_plain_data_and_back(name):
    assert task.Task.from_dict(task.get(name).to_dict()) == task.get(name)
