"""`fmtool train`: encoders and heads; a file per verb."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from fmtool.cli.train import (
    finetune,
    import_,
    mae,
    prepare,
    probe,
    simclr,
    split,
    supervised,
    synth,
)
from fmtool.errors import CapabilityError

app = typer.Typer(help='Make encoders and heads (needs the extra "train").', no_args_is_help=True)


@app.callback()
def _needs_torch(context: typer.Context) -> None:
    if context.invoked_subcommand == "probe":  # on a bundle's encoder it does without
        return
    needs_torch()


def needs_torch() -> None:
    """Raise CapabilityError where torch or scikit-learn is not installed."""
    if find_spec("torch") is None or find_spec("sklearn") is None:
        raise CapabilityError(
            "training needs torch and scikit-learn; install them with `pip install 'fmtool[train]'`"
        )


app.command("prepare")(prepare.prepare)
app.command("split")(split.split)
app.command("simclr")(simclr.simclr)
app.command("mae")(mae.mae)
app.command("supervised")(supervised.supervised)
app.command("finetune")(finetune.finetune)
app.command("probe")(probe.probe)
app.command("import")(import_.import_)
app.command("synth")(synth.synth)
