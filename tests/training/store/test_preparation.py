"""The preprocessing's digest follows every file that decides a prepared volume's voxels."""

from __future__ import annotations

import ast
from pathlib import Path

import runtime
from training.store import preparation


def test_a_changed_renamed_or_further_file_is_other_code(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a = 1\n")
    two.write_text("b = 2\n")
    first = preparation.digest([one, two])
    assert preparation.digest([two, one]) == first
    assert preparation.digest([one]) != first
    assert preparation.digest([two, one.rename(tmp_path / "uno.py")]) != first
    (tmp_path / "uno.py").rename(one)
    one.write_text("a = 2\n")
    assert preparation.digest([one, two]) != first


def test_the_stages_and_the_readers_are_in_it(monkeypatch):
    seen = []
    monkeypatch.setattr(preparation, "digest", seen.extend)
    preparation.preparation.__wrapped__()
    names = {file.name for file in seen}
    stages = Path(runtime.__path__[0]) / "preprocess"
    pipeline = ast.parse((stages / "pipeline.py").read_text())
    used = {
        f"{node.module.rsplit('.', 1)[1]}.py"
        for node in ast.walk(pipeline)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("runtime.preproc")
        and node.module.count(".") == 2
    }
    assert used >= {"strip.py", "template.py"}
    assert names >= used | {
        "bias.py",
        "resample.py",
        "register.py",
        "scan.py",
        "nifti.py",
        "volume.py",
    }
    assert all(file.is_file() for file in seen)
