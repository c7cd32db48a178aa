"""Does SimCLR learn? A small one against random weights, on heads whose truth is known.

Synthetic heads (`training.synth`) are rendered straight onto a coarse grid over the model's crop.
Their contrast, bias field and noise vary at random and hide what age and sex did to the anatomy. A
narrow ResNet-18 is pretrained on them for a fixed time, without labels, with the paper's
augmentation but for the crop, and with intensity changes that survive the z-score. The crop is left
out because it changes a head's size from view to view, and size is what tells the hidden sexes
apart. Both encoders, trained and random, then get the same cross-validated linear probes; the
random one with several seeds, of which the best counts.

    python -m benchmarks.learnability [--subjects 400] [--minutes 10] [--seed 1] [--json FILE]
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import nn

from benchmarks.shared import script
from benchmarks.shared.held import HeldScan
from fmtool import space
from fmtool.task import AGE, SEX, Task
from training import probe
from training.augment import SimCLRAugment
from training.augment.intensity import Intensity
from training.augment.whole import whole
from training.cohort import Cohort, Row
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop, TrainingStopped
from training.fit.settings import Settings
from training.simclr import SimCLR
from training.synth import acquisition, anatomy
from training.synth.render import RenderGrid, render
from training.synth.subject import draw, generator

WIDTH = 0.125
SPACING = 5.0  # mm
RANDOM_SEEDS = (0, 1, 2)


def frame() -> RenderGrid:
    """The model's crop in voxels of `SPACING`, as (x, y, z)."""
    shape = [round(n / SPACING) for n in reversed(space.CROP_SHAPE)]
    affine = np.diag([SPACING] * 3 + [1.0])
    affine[:3, 3] = space.crop_affine()[:3, 3] + 0.5 * (SPACING - 1.0)
    return RenderGrid((shape[0], shape[1], shape[2]), affine)


def cohort(subjects: int, seed: int) -> tuple[list[HeldScan], list[Cohort[Task]]]:
    """Rendered heads, and who they are, by age and by sex."""
    average, grid = anatomy.load(), frame()
    heads: list[HeldScan] = []
    rows: list[Row] = []
    sexes: list[float] = []
    console = Console(stderr=True)
    for number in track(range(1, subjects + 1), "Rendering", console=console, transient=True):
        subject = draw(seed, number)
        rng = generator(seed, 2, number, 1)
        head = render(average, subject, acquisition.draw(rng, straight=True), grid, rng)
        volume = np.ascontiguousarray(head.voxels.transpose(2, 1, 0), dtype=np.float32)
        mask = np.ascontiguousarray(head.mask.transpose(2, 1, 0))
        heads.append(HeldScan(volume, mask, {"digest": subject.name}))
        rows.append(Row(subject.name, Path(subject.name), None, subject.age, None, number))
        sexes.append(float(subject.sex == "M"))
    aged = Cohort(Path("rendered"), AGE, rows)
    return heads, [aged, replace(aged, task=SEX).relabelled(sexes)]


@torch.inference_mode()
def embed(encoder: nn.Module, heads: list[HeldScan]) -> NDArray[np.float32]:
    """(N, F): embeddings of the whole heads, by the encoder in eval mode."""
    encoder.eval()
    found = []
    for head in heads:
        view = whole(torch.from_numpy(head.volume), torch.from_numpy(head.mask))
        found.append(encoder(view[None, None])[0].numpy())
    return np.stack(found)


def pretrain(heads: list[HeldScan], minutes: float, batch: int, seed: int) -> tuple[nn.Module, int]:
    """The encoder after so many minutes of SimCLR, and the steps it took."""
    shape = heads[0].volume.shape
    augment = SimCLRAugment(
        output_shape=(shape[0], shape[1], shape[2]),
        parts=frozenset({"flip", "rotation", "gamma"}),
        intensity=Intensity(blur=0.5, bias=0.4, noise=0.4),
    )
    recipe = SimCLR(width=WIDTH, seed=seed, augment=augment)
    settings = Settings(
        epochs=100_000, batch=batch, seed=seed, device="cpu", learning_rate=1e-3,
        checkpoint_every=100_000,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(devices.launch(settings), recipe, ScanDataset(heads), settings, Path(folder))
        alarm = threading.Timer(60.0 * minutes, os.kill, (os.getpid(), signal.SIGTERM))
        alarm.start()
        with contextlib.suppress(TrainingStopped):  # the time is up, and the step finished
            loop.run(say)
    encoder = recipe.network.get_submodule("encoder")
    return encoder.to(memory_format=torch.contiguous_format), loop.step  # type: ignore[call-overload]


def say(epoch: int, means: dict[str, float], record: dict[str, Any]) -> dict[str, float]:
    """An epoch's figures, on stderr."""
    del record
    facts = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
    Console(stderr=True, soft_wrap=True).print(f"epoch {epoch}  {facts}", highlight=False)
    return {}


def judge(encoder: nn.Module, heads: list[HeldScan], cohorts: list[Cohort[Task]]) -> dict[str, Any]:
    """Task -> cross-validated evidence of a linear probe, and brain volume's beside it."""
    embeddings = embed(encoder, heads)
    volumes = [float(head.mask.sum()) * SPACING**3 / 1000.0 for head in heads]
    found = {}
    for one in cohorts:
        fitted = probe.fit(embeddings, one, brain_volume_ml=volumes)
        found[one.task.name] = fitted.head.evidence
    return found


def separate(task: Task, trained: dict[str, Any], random: dict[str, Any]) -> bool:
    """Whether the trained encoder's interval lies wholly on the better side of the other's."""
    (low, high), (other_low, other_high) = trained["interval"], random["interval"]
    return bool(high < other_low if task.kind == "regression" else low > other_high)


def show(name: str, found: dict[str, Any]) -> None:
    """One encoder's figures on stdout."""
    for task, evidence in found.items():
        low, high = evidence["interval"]
        print(
            f"{name:28s} {task:4s} {evidence['metric']} {evidence['value']:.3f} ({low:.3f} to "
            f"{high:.3f}), {evidence['baseline_name']} {evidence['baseline']:.3f}, brain volume "
            f"{evidence['brain_volume']['value']:.3f}",
            flush=True,
        )


def main() -> None:
    """Render, pretrain, probe, compare, and write JSON."""
    args = script.options(__doc__, subjects=400, minutes=10.0, batch=32, seed=1, json=Path)
    begin = time.perf_counter()
    heads, cohorts = cohort(args.subjects, args.seed)
    print(f"{len(heads)} SYNTHETIC heads of {heads[0].volume.shape} voxels", flush=True)
    print(f"rendered in {time.perf_counter() - begin:.0f} s", flush=True)
    random = {}
    for seed in RANDOM_SEEDS:
        encoder = SimCLR(width=WIDTH, seed=seed).network.get_submodule("encoder")
        random[seed] = judge(encoder, heads, cohorts)
        show(f"random weights, seed {seed}", random[seed])
    begin = time.perf_counter()
    encoder, steps = pretrain(heads, args.minutes, args.batch, args.seed)
    minutes = (time.perf_counter() - begin) / 60.0
    trained = judge(encoder, heads, cohorts)
    show(f"SimCLR, {steps} steps, {minutes:.1f} min", trained)
    better = {
        task.name: all(separate(task, trained[task.name], r[task.name]) for r in random.values())
        for task in (AGE, SEX)
    }
    print("intervals apart from every random encoder's:", better)
    content = {
        "synthetic": True,
        "subjects": args.subjects,
        "steps": steps,
        "minutes": minutes,
        "random": random,
        "trained": trained,
        "intervals_apart": better,
    }
    script.keep(content, args.json)


if __name__ == "__main__":
    main()
