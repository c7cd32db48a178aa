from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from fmtool.errors import CapabilityError, InputError, UsageError
from runtime.system import machine
from training.fit import devices, identity
from training.fit.data import ScanDataset
from training.fit.loop import Loop, TrainingStopped
from training.fit.settings import Settings

SETTINGS = Settings(epochs=4, batch=2, checkpoint_every=1, learning_rate=0.01)


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def train(
    fabric: Fabric,
    recipe: Any,
    scans: ScanDataset,
    folder: Path,
    settings: Settings = SETTINGS,
    **kw: Any,
) -> dict[str, torch.Tensor]:
    on_epoch = kw.pop("on_epoch", None)
    Loop(fabric, recipe, scans, settings, folder, **kw).run(on_epoch)
    return weights(recipe.network)


def dies_at(recipe: Any, step: int, how: Any) -> Any:
    """The recipe, which calls `how` before its step number `step` from here on."""
    inner, seen = recipe.loss, [0]

    def loss(*args: Any) -> Any:
        if seen[0] == step:
            how()
        seen[0] += 1
        return inner(*args)

    recipe.loss = loss
    return recipe


def crash() -> None:
    raise RuntimeError("power cut")


def test_it_learns_and_equal_seeds_give_equal_weights(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    first = train(fabric, toy(), scans, tmp_path / "a")
    assert same(first, train(fabric, toy(), scans, tmp_path / "b"))
    other = Settings(epochs=4, batch=2, seed=1, learning_rate=0.01)
    assert not same(first, train(fabric, toy(), scans, tmp_path / "c", other))
    assert not same(first, weights(toy().network))


@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_a_run_that_died_ends_as_an_unbroken_one(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path, step: int
) -> None:
    unbroken = train(fabric, toy(), scans, tmp_path / "unbroken")
    with pytest.raises(RuntimeError, match="power cut"):
        train(fabric, dies_at(toy(), step, crash), scans, tmp_path / "run")
    resumed = train(fabric, toy(), scans, tmp_path / "run", resume=True)
    assert same(unbroken, resumed)
    assert metrics(tmp_path / "unbroken") == metrics(tmp_path / "run")


@pytest.mark.parametrize("step", [1, 2, 4])
def test_sigterm_finishes_the_step_and_keeps_its_place_in_the_epoch(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path, step: int
) -> None:
    epochs: list[tuple[int, float]] = []

    def on_epoch(epoch: int, means: dict[str, float], record: dict[str, Any]) -> dict[str, float]:
        epochs.append((epoch, means["loss"]))
        record["losses"] = [*record.get("losses", []), means["loss"]]
        return {"kept": float(len(record["losses"]))}

    unbroken = train(fabric, toy(), scans, tmp_path / "unbroken", on_epoch=on_epoch)
    wanted, epochs = epochs, []
    recipe = dies_at(toy(), step, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(
        TrainingStopped, match=f"after step {step + 1}; go on with --resume"
    ) as stopped:
        train(fabric, recipe, scans, tmp_path / "run", on_epoch=on_epoch)
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert same(
        unbroken, train(fabric, toy(), scans, tmp_path / "run", resume=True, on_epoch=on_epoch)
    )
    assert epochs == wanted
    assert metrics(tmp_path / "unbroken") == metrics(tmp_path / "run")


def metrics(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "metrics.csv").open() as stream:
        rows = [tuple(row.values()) for row in csv.DictReader(stream)]
    return [row for row in rows if row[2] != "images_per_second"]


def test_metrics_have_each_step_once(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path)
    losses = [row for row in metrics(tmp_path) if row[2] == "loss"]
    assert [int(row[0]) for row in losses] == list(range(12))
    assert [int(row[1]) for row in losses] == [step // 3 for step in range(12)]
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_more_epochs_go_on(fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path) -> None:
    longer = Settings(epochs=6, batch=2, checkpoint_every=1, learning_rate=0.01)
    whole = train(fabric, toy(), scans, tmp_path / "whole", longer)
    train(fabric, toy(), scans, tmp_path / "run")
    assert same(whole, train(fabric, toy(), scans, tmp_path / "run", longer, resume=True))


def test_a_folder_that_holds_a_run_is_left_alone(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path)
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        train(fabric, toy(), scans, tmp_path)


def test_another_run_is_not_resumed(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path)
    other = Settings(epochs=4, batch=2, seed=1, learning_rate=0.01)
    with pytest.raises(InputError, match="seed was 42 and is 1"):
        train(fabric, toy(), scans, tmp_path, other, resume=True)
    with pytest.raises(InputError, match=r"resumed: the recipe's seed was 0 and is 5;"):
        train(fabric, toy(seed=5), scans, tmp_path, resume=True)
    fewer = ScanDataset(scans._entries[:6], scans.labels[:6])
    relabelled = ScanDataset(scans._entries, [*scans.labels[:6], 9.0])
    for others in (fewer, relabelled):
        with pytest.raises(InputError, match="the scans or their labels are others"):
            train(fabric, toy(), others, tmp_path, resume=True)


def test_fewer_epochs_than_done_are_refused(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path)
    fewer = Settings(epochs=3, batch=2, checkpoint_every=1, learning_rate=0.01)
    with pytest.raises(UsageError, match="holds 4 epochs already, more than the 3 asked for"):
        train(fabric, toy(), scans, tmp_path, fewer, resume=True)
    train(fabric, toy(), scans, tmp_path, resume=True)  # as many: nothing is left to do


def test_a_changed_recipe_is_told_by_what_changed() -> None:
    before = {"encoder": {"name": "a", "width": 1.0}, "augment": {"shape": [1, 2]}, "seed": 3}
    now = {"encoder": {"name": "a", "width": 0.5}, "augment": None, "seed": 3, "new": 1}
    assert identity._changes("the recipe's", before, now) == [
        "the recipe's encoder width was 1.0 and is 0.5",
        "the recipe's augment was {'shape': [1, 2]} and is None",
        "the recipe's new was None and is 1",
    ]


def test_bfloat16_is_refused_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(precision="bfloat16", device="cpu")
    monkeypatch.setattr(machine, "instructions", lambda: {"AVX2": True, "bfloat16": False})
    with pytest.raises(CapabilityError, match=r"no bfloat16 arithmetic .* --precision float32"):
        devices.launch(settings)
    for known in ({"bfloat16": True}, {}):  # there, or not told by the system
        monkeypatch.setattr(machine, "instructions", lambda known=known: known)
        devices.launch(settings)


def test_a_cosine_run_cannot_be_made_longer(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path, Settings(epochs=2, batch=2, optimizer="lars"))
    longer = Settings(epochs=3, batch=2, optimizer="lars")
    with pytest.raises(InputError, match="epochs was 2 and is 3"):
        train(fabric, toy(), scans, tmp_path, longer, resume=True)


def test_a_damaged_checkpoint_is_said(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    train(fabric, toy(), scans, tmp_path)
    kept = sorted((tmp_path / "checkpoints").iterdir())
    assert [folder.name for folder in kept] == ["step-00000009", "step-00000012"]
    content = bytearray((kept[-1] / "network.safetensors").read_bytes())
    content[-1] ^= 1
    (kept[-1] / "network.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"network.safetensors is damaged; delete .*step-00000012"):
        train(fabric, toy(), scans, tmp_path, resume=True)
    state = json.loads((kept[-1] / "state.json").read_text(encoding="utf-8"))
    (kept[-1] / "state.json").write_text(json.dumps({**state, "format": 9}))
    with pytest.raises(InputError, match="has format 9"):
        train(fabric, toy(), scans, tmp_path, resume=True)


def test_a_loss_that_is_not_finite_ends_the_run(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    scans.labels[3] = float("inf")
    with pytest.raises(InputError, match=r"toy diverged at step \d \(epoch 0\)"):
        train(fabric, toy(), scans, tmp_path)


def test_clipping_bounds_the_step(
    fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path
) -> None:
    free = train(fabric, toy(), scans, tmp_path / "free")
    tight = Settings(epochs=4, batch=2, learning_rate=0.01, clip_norm=1e-12)
    clipped = train(fabric, toy(), scans, tmp_path / "clipped", tight)
    assert not same(free, clipped)


def test_too_few_scans(fabric: Fabric, toy: Any, scans: ScanDataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="7 scans do not fill one batch of 8"):
        train(fabric, toy(), scans, tmp_path, Settings(epochs=1, batch=8))
