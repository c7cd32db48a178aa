"""`fmtool train supervised`: an encoder and its head from labels alone."""

from __future__ import annotations

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


def supervised(
    cohort: o.CohortArgument,
    task: o.TaskOption,
    out: o.RunOption,
    split: o.SplitOption = None,
    validation: o.ValidationOption = None,
    test: o.TestOption = None,
    architecture: o.ArchitectureOption = o.Architecture.resnet18,
    width: o.WidthOption = 1.0,
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
    """Train an encoder and a head from scratch; the best epoch by validation is kept."""
    from fmtool import task as tasks
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training.fit.settings import Settings
    from training.runs import from_labels
    from training.supervised import Supervised, fresh_encoder

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

    def recipe_of(labels: list[float]) -> Supervised:
        network = fresh_encoder(architecture.value, width, seed)
        return Supervised(network, wanted, labels, seed, balance, input_shape, recompute)

    trained = from_labels.run(
        cohort, parts, wanted, recipe_of, settings, out, cache, bundle, resume
    )
    if trained is None:  # another process speaks
        return
    console.table(evidence.table(wanted.name, trained.head.evidence, "supervised"))
    console.put(str(out))
