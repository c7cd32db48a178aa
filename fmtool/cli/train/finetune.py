"""`fmtool train finetune`: all weights of a pretrained encoder, and a head, from labels."""

from __future__ import annotations

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


def finetune(
    cohort: o.CohortArgument,
    task: o.TaskOption,
    encoder: o.EncoderOption,
    out: o.RunOption,
    split: o.SplitOption = None,
    validation: o.ValidationOption = None,
    test: o.TestOption = None,
    epochs: o.EpochsOption = 300,
    batch: o.BatchOption = 6,
    seed: o.SeedOption = 42,
    learning_rate: o.RateOption = 1e-4,
    balance: o.BalanceOption = False,
    input_shape: o.InputOption = o.FULL,
    precision: o.PrecisionOption = o.Precision.float32,
    recompute: o.RecomputeOption = False,
    clip: o.ClipOption = None,
    checkpoint_every: o.CheckpointOption = 10,
    resume: o.ResumeOption = False,
    device: o.DeviceOption = o.Device.auto,
    devices: o.DevicesOption = 1,
    nodes: o.NodesOption = 1,
    workers: o.WorkersOption = 0,
    allow_sites: o.AllowSitesOption = False,
    bundle: BundleOption = None,
    cache: o.CacheOption = o.CACHE,
) -> None:
    """Train all weights from a pretrained encoder; the best epoch by validation is kept."""
    from fmtool import task as tasks
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training import encoders
    from training.fit.settings import Settings
    from training.runs import from_labels
    from training.supervised import Finetune

    wanted = tasks.get(task)
    parts = from_labels.parts_of(cohort, wanted, split, validation, test, allow_sites)
    settings = Settings(
        epochs=epochs,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate,
        precision=precision.value,
        clip_norm=clip,
        checkpoint_every=checkpoint_every,
        device=device.value,
        devices=devices,
        nodes=nodes,
        workers=workers,
    )

    def recipe_of(labels: list[float]) -> Finetune:
        network, _ = encoders.load_checkpoint(encoder)
        return Finetune(network, wanted, labels, seed, balance, input_shape, recompute)

    trained = from_labels.run(
        cohort, parts, wanted, recipe_of, settings, out, cache, bundle, resume
    )
    if trained is None:  # another process speaks
        return
    console.table(evidence.table(wanted.name, trained.head.evidence, "fine-tuned"))
    console.put(str(out))
