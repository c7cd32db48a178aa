"""The lock files that are committed fit `pyproject.toml`, are hashed, and name no place."""

from __future__ import annotations

import pytest

pytest.importorskip("packaging")

from benchmarks.supply import locks


@pytest.mark.parametrize("name", locks.LOCKS)
def test_what_is_committed_fits(name):
    assert locks.problems(name) == []
    assert "numpy" in locks.pins(name)


def test_the_edge_s_locks_hold_no_torch():
    for name in ("cpu", "gpu", "service"):
        assert not {"torch", "monai", "pandas", "scikit-learn"} & locks.pins(name).keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "--index-url https://example.org/simple\n" + text, "has the line"),
        (lambda text: text + "x @ file:///tmp/x\n", "has the line"),
        (lambda text: text.replace("numpy==", "numpy>="), "has the line"),
        (lambda text: text.replace("numpy==2", "numpy==1.0.2"), "not met by 1.0.2"),
        (lambda text: text + "x==1.0 \\\n", "x has no hash"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, monkeypatch, change, said):
    text = (locks.FOLDER / "cpu.txt").read_text()
    (tmp_path / "cpu.txt").write_text(change(text))
    monkeypatch.setattr(locks, "FOLDER", tmp_path)
    assert any(said in problem for problem in locks.problems("cpu"))


def test_a_lock_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "FOLDER", tmp_path)
    assert "No such file" in locks.problems("cpu")[0]
