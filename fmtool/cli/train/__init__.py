"""`fmtool train`: encoders and heads; a file per verb."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import typer

from fmtool.cli.options import ProjectOption, ThreadsOption, with_threads
from fmtool.cli.train import (
    compare,
    finetune,
    import_,
    mae,
    prepare,
    probe,
    simclr,
    split,
    supervised,
    synth,
    whole,
)
from fmtool.errors import CapabilityError, UsageError

app = typer.Typer(
    help='Make encoders and heads (needs the extra "train"): a step, or all that a project says.'
)


def needs_torch() -> None:
    """Whether trainings can run here.

    Raises:
        CapabilityError: if not, with the way.
    """
    if find_spec("torch") is None or find_spec("sklearn") is None:
        raise CapabilityError(
            "training needs torch and scikit-learn; install them with `pip install 'fmtool[train]'`"
        )


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context, project: ProjectOption = None, threads: ThreadsOption = None
) -> None:
    """Without a verb, do what fmtool.toml says and is not done yet: all the way to the heads."""
    del threads  # heeded by its callback
    if context.invoked_subcommand not in ("probe", "compare"):  # these do without
        needs_torch()
    if context.invoked_subcommand is None:
        whole.run(project)
    elif project is not None:
        raise UsageError(
            f"--project goes with `fmtool train` alone, not with `fmtool train "
            f"{context.invoked_subcommand}`"
        )


_VERBS: dict[str, Callable[..., None]] = {
    "prepare": prepare.prepare,
    "split": split.split,
    "simclr": simclr.simclr,
    "mae": mae.mae,
    "supervised": supervised.supervised,
    "finetune": finetune.finetune,
    "probe": probe.probe,
    "compare": compare.compare,
    "import": import_.import_,
    "synth": synth.synth,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(with_threads(_verb))
