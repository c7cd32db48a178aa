"""`fmtool train supervised`: an encoder and its head from labels alone."""

from __future__ import annotations

from fmtool.cli.train import run_options as o
from training.fit.settings import Settings
from training.runs.run import LabelledTask, RunFiles


@o.spread
def supervised(
    cohort: o.CohortArgument,
    asked: LabelledTask,
    files: RunFiles,
    architecture: o.ArchitectureOption = o.EncoderName.resnet18,
    width: o.WidthOption = 1.0,
    settings: Settings = o.FROM_LABELS,
    plot: o.PlotOption = False,
) -> None:
    """Train an encoder and a head from scratch; the best epoch by validation is kept."""
    from training.runs.parts import parted

    parted(cohort, asked)  # before torch is imported
    from fmtool.bundle.exposure import Exposure
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training import encoders
    from training.evidence.plot import check_matplotlib
    from training.runs import from_labels
    from training.supervised import Supervised

    if plot:
        check_matplotlib()
    trained = from_labels.run(
        cohort,
        asked,
        Supervised,
        lambda: (encoders.fresh(architecture.value, width, seed=settings.seed), Exposure()),
        files,
        settings,
        console.say,
    )
    evidence.show_all(trained, "supervised", files.out, asked, plot)
