"""`fmtool bundle show|verify|robustness`: what a bundle holds, is whole, and how far it moves."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Look into a bundle.", no_args_is_help=True)

_Path = Annotated[
    Path | None,
    typer.Argument(
        help="A bundle's folder or zip; the demonstration bundle if absent.", show_default=False
    ),
]


@app.command("show")
def show(
    bundle: _Path = None,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Print a bundle's model card, or its manifest."""
    from fmtool import bundle as bundles
    from fmtool.cli import console

    with bundles.open(bundle) as opened:
        if json:
            console.put(json_format.dumps(opened.manifest, indent=1))
        else:
            console.put(f"{opened.path}\ndigest {opened.digest}\n")
            console.put(opened.file("MODEL_CARD.md").read_text(encoding="utf-8"))


@app.command("verify")
def verify(
    bundle: _Path = None,
    engine: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Check every file's SHA-256, then run the self-test on an engine of this machine."""
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from runtime.predict import self_test

    with bundles.open(bundle) as opened, console.activity("Running the self-test"):
        described, outcome = self_test(opened, engine, device)
    console.put(f"{opened.name}: {len(opened.manifest['files'])} files match their SHA-256")
    console.put(f"self-test passed on {described}")
    for name, error in outcome.errors.items():
        console.put(f"  {name}: error {error:.1e}")


@app.command("robustness")
def robustness(
    summary: Annotated[
        Path, typer.Argument(help="robustness.json of `python -m benchmarks.robustness`.")
    ],
    bundle: Annotated[
        Path, typer.Option("--bundle", help="The folder of the bundle it was measured on.")
    ],
) -> None:
    """Put what was measured into the bundle: into its model card and every result's page."""
    from export.robustness import attach
    from fmtool import bundle as bundles
    from fmtool.cli import console

    with bundles.open(bundle) as opened:
        written = attach(opened, summary)
    console.put(f"{written.path}\ndigest {written.digest}")
