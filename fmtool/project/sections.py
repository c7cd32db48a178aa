"""The keys of a project's file: what each means, its default, and what may stand there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from fmtool.space import CROP_SHAPE

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class GeneralPlan:
    """What a project is about; the keys before the first section.

    Attributes:
        name: of the bundle, which `fmtool export` writes to NAME.fmtool.
        cohort: a BIDS folder, or a CSV (image_path, mask_path, label).
        tasks: what to predict; built-in names, or tasks' .toml files.
        encoder: a checkpoint or an encoder's folder to start from; "" pretrains one.
        preprocessing: a bundle whose preprocessing to use; "" is the demonstration bundle's.
        runs: folder for encoders, heads and checkpoints.
        cache: folder for prepared volumes and embeddings.
        jobs: processes that prepare scans at once.
        allow_sites: accept labels of more than one site, where a model may learn the scanner.
        strict: refuse rows without a label, which are left out otherwise.
        each_scan_is_a_person: where neither table nor paths say whom a scan shows.
    """

    name: str
    cohort: str
    tasks: tuple[str, ...]
    encoder: str = ""
    preprocessing: str = ""
    runs: str = "runs"
    cache: str = ".cache/fmtool"
    jobs: int = 1
    allow_sites: bool = False
    strict: bool = False
    each_scan_is_a_person: bool = False


@dataclass(frozen=True)
class PretrainPlan:
    """How the encoder is pretrained, without labels; not read where `encoder` names one.

    Attributes:
        recipe: simclr, or mae for a transformer (vit_tiny, vit_base).
        architecture: of the encoder.
        width: scales the encoder's channels.
        epochs: passes over the scans.
        batch: scans per step and process.
        learning_rate: of Adam.
        seed: of weights, order and views.
        checkpoint_every: epochs between checkpoints.
        view: voxels of a view, z y x; mae resizes scans to them.
        min_crop: simclr's smallest crop, in voxels of the scan, z y x.
        parts: simclr's augmentations, of crop, flip, rotation, shift, gamma.
        temperature: of simclr's NT-Xent.
        mask_ratio: the share of patches that mae hides.
    """

    recipe: Literal["simclr", "mae"] = "simclr"
    architecture: Literal["resnet18", "resnet50", "vit_tiny", "vit_base"] = "resnet18"
    width: float = 1.0
    epochs: int = 1000
    batch: int = 6
    learning_rate: float = 3e-4
    seed: int = 42
    checkpoint_every: int = 10
    view: Shape = CROP_SHAPE
    min_crop: Shape = (30, 40, 40)
    parts: tuple[str, ...] = ("crop", "flip", "rotation", "gamma")
    temperature: float = 0.5
    mask_ratio: float = 0.75


@dataclass(frozen=True)
class HeadPlan:
    """How each task's head is made, and judged on people it has not seen.

    Attributes:
        recipe: probe (linear, on the frozen encoder, cross-validated), or finetune (all weights of
            the encoder, on the parts of [split]), of several tasks together.
        seed: of the probe's folds and the bootstrap, and of finetune's order.
        epochs: of finetune; the best by validation is kept.
        batch: of finetune, scans per step and process.
        learning_rate: of finetune.
        balance: weigh the classes of finetune's task equally.
        checkpoint_every: of finetune, epochs between checkpoints.
    """

    recipe: Literal["probe", "finetune"] = "probe"
    seed: int = 0
    epochs: int = 300
    batch: int = 6
    learning_rate: float = 1e-4
    balance: bool = False
    checkpoint_every: int = 10


@dataclass(frozen=True)
class SplitPlan:
    """Who trains, validates and tests, by subject; for finetune: a probe cross-validates.

    Attributes:
        fractions: of the subjects: training, validation, test.
        seed: the same seed gives the same split.
        test_sites: test on these sites and train on the others; none splits at random.
    """

    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    seed: int = 0
    test_sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class DevicePlan:
    """On what the trainings run.

    Attributes:
        device: auto takes CUDA where there is one.
        devices: devices, or processes, per machine.
        nodes: machines, under torchrun or Slurm.
        workers: loader processes per training process.
        precision: of the networks' arithmetic; weights and losses stay float32.
        recompute: recompute activations in the backward pass: less memory.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    recompute: bool = False


@dataclass(frozen=True)
class ExportPlan:
    """What `fmtool export` makes; an option that is given adds to it, or takes its place.

    Attributes:
        fp16: an FP16 model as well, for a GPU, and its engine.
        int8: an INT8 model as well, quantised on some scans of the cohort.
        tensorrt: a TensorRT engine for the GPU at hand.
        rtx: TensorRT-RTX engines; they need no GPU.
        triton: a Triton model repository to add the model to; "" is none.
        targets: GPU architectures to build for, such as "sm89"; none is the GPU at hand.
        batch: smallest, usual and largest batch, "1,4,8"; "" compares at 1 and 2.
        calibration: compare models on scans of the cohort too, and measure its usual ranges of the
            checks.
    """

    fp16: bool = False
    int8: bool = False
    tensorrt: bool = False
    rtx: bool = False
    triton: str = ""
    targets: tuple[str, ...] = ()
    batch: str = ""
    calibration: bool = True


SECTIONS: dict[str, Any] = {
    "": GeneralPlan,
    "pretrain": PretrainPlan,
    "heads": HeadPlan,
    "split": SplitPlan,
    "devices": DevicePlan,
    "export": ExportPlan,
}
"""By the name of their table in the file, in its order; "" is what comes before the first."""


def said(kind: Any) -> dict[str, str]:
    """What a dataclass's docstring says of each attribute, on one line."""
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", kind.__doc__, re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in found}
