"""`fmtool train finetune`: all weights of a pretrained encoder, and a head, from labels."""

from __future__ import annotations

from fmtool.cli.train import run_options as o
from training.fit.settings import Settings
from training.runs.run import LabelledTask, RunFiles


@o.spread
def finetune(
    cohort: o.CohortArgument,
    asked: LabelledTask,
    encoder: o.EncoderOption,
    files: RunFiles,
    settings: Settings = o.FROM_LABELS,
    plot: o.PlotOption = False,
) -> None:
    """Train all weights from a pretrained encoder; the best epoch by validation is kept."""
    from training.runs.parts import parted

    parted(cohort, asked)  # before torch is imported
    from fmtool.bundle.exposure import Exposure
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training import encoders
    from training.evidence.plot import check_matplotlib
    from training.runs import from_labels
    from training.supervised import Finetune

    if plot:
        check_matplotlib()

    def start() -> tuple[encoders.nn.Module, Exposure]:
        network, info = encoders.load_checkpoint(encoder)
        for sentence in info["remarks"]:
            console.say(sentence)
        return network, info["exposure"]

    trained = from_labels.run(cohort, asked, Finetune, start, files, settings, console.say)
    evidence.show_all(trained, "fine-tuned", files.out, asked, plot)
