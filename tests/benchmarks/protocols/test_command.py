"""From a command line, and from scans on disk, to the three files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.protocols import (
    ablation,
    command,
    label_efficiency,
    matched_sex,
    methods,
    pretrained,
    size,
)
from benchmarks.protocols.size import Size
from benchmarks.protocols.study import Study
from fmtool import task as tasks
from fmtool.errors import InputError
from training import encoders
from training.fit.loop import TrainingStopped
from training.synth import cohort as synth

StudyOf = Callable[..., Study]


@pytest.mark.parametrize("protocol", [methods, label_efficiency, ablation, matched_sex])
def test_each_script_writes_its_three_files(
    protocol: ModuleType,
    study_of: StudyOf,
    micro: Size,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(1)

    def study(args: object, task: str) -> Study:
        made = study_of(tasks.get(task), 32)
        for entry in made.entries:
            entry.facts["brain_volume_ml"] = rng.normal(1200, 90)
        return made

    monkeypatch.setitem(size.SIZES, "toy", lambda: micro)
    monkeypatch.setattr(command, "study", study)
    words = ["x", "cohort", "--folds", "2", "--out", str(tmp_path / "out")]
    words += ["--cache", str(tmp_path / "cache")]
    words += ["--task", "age"] if protocol is ablation else ["--system", "LP SimCLR"]
    if protocol is label_efficiency:
        words += ["--seeds", "1", "--fraction", "1"]
    monkeypatch.setattr(sys, "argv", words)
    protocol.main()
    name = protocol.__name__.split(".")[-1]
    content = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert content["protocol"] == name
    assert content["size"]["name"] == "micro"
    assert {f.name for f in (tmp_path / "out").iterdir()} == {
        "results.json",
        "results.csv",
        "plot.png",
    }
    shown = capsys.readouterr().out
    assert name in shown
    assert "SYNTHETIC" in shown
    assert "TRANSDUCTIVE" in shown


def test_the_options_set_the_size_and_the_encoders(tmp_path: Path) -> None:
    toy = Size.toy()
    made = pretrained.fresh("resnet18", replace(toy, width=1 / 32), 3)
    encoders.save_encoder(tmp_path / "encoder", made, "a test")
    parser = command.parser("doc")
    words = ["c", "--out", "o", "--cache", str(tmp_path), "--simclr", str(tmp_path / "encoder")]
    args = parser.parse_args([*words, "--train-epochs", "2", "--device", "cpu", "--inductive"])
    bench = command.bench(args)
    assert bench.size == replace(toy, train_epochs=2, device="cpu")
    assert not bench.transductive
    assert encoders.digest(bench.given["simclr"]) == encoders.digest(made)
    assert "given from outside: simclr" in bench.pretraining_sentence()


def test_the_papers_size_is_the_papers() -> None:
    paper = Size.paper()
    assert (paper.shape, paper.width) == ((150, 192, 192), 1.0)
    assert (paper.pretrain_epochs, paper.train_epochs) == (1000, 300)
    assert paper.pretraining(42).learning_rate == 3e-4
    assert paper.training(42, 100).learning_rate == 1e-4
    assert paper.training(42, 4).batch == 4
    assert paper.augment.min_crop == (30, 40, 40)


def test_a_users_mistake_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise InputError("the table is empty")

    with pytest.raises(SystemExit) as caught:
        command.run(main)
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: the table is empty\n"


def test_a_stopped_run_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise TrainingStopped("stopped by SIGTERM after step 3; go on with --resume")

    with pytest.raises(SystemExit) as caught:
        command.run(main)
    assert caught.value.code == 143
    assert "the same command" in capsys.readouterr().err


@pytest.mark.slow
def test_a_prepared_synthetic_cohort_from_disk(
    tmp_path: Path, micro: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = synth.write(tmp_path / "cohort", 16, 1, prepared=True)
    monkeypatch.setitem(size.SIZES, "toy", lambda: micro)
    words = ["x", str(table), "--folds", "2", "--out", str(tmp_path / "out")]
    words += ["--cache", str(tmp_path / "cache"), "--task", "age"]
    monkeypatch.setattr(sys, "argv", words)
    methods.main()
    content = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert content["synthetic"] is True
    assert content["scans"] == 16
    assert [row["system"] for row in content["rows"]][:3] == [
        "constant",
        "brain volume",
        "smoothed scan",
    ]
    assert len(content["rows"]) == 10
