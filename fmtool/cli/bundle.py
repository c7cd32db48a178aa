"""`fmtool bundle show|verify|robustness|sign|keygen`: what it holds, is whole, moves, and whose."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleArgument, DeviceOption, EngineOption

app = typer.Typer(help="Look into a bundle, or sign it.", no_args_is_help=True)


@app.command("show")
def show(
    bundle: BundleArgument = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the manifest as JSON instead of the card.")
    ] = False,
) -> None:
    """Print a bundle's model card, or its manifest."""
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from fmtool.errors import shown

    with bundles.open(bundle) as opened:
        if json:
            console.put(json_format.dumps(opened.manifest.to_dict(), indent=1))
        else:
            console.put(f"{opened.path}\ndigest {opened.digest}")
            whose = opened.manifest.parent
            console.put(f"child of {shown(whose.name)} {whose.digest}\n" if whose else "")
            card = opened.file("MODEL_CARD.md").read_text(encoding="utf-8", errors="replace")
            console.put("\n".join(map(shown, card.splitlines())))


@app.command("verify")
def verify(
    bundle: BundleArgument = None,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    signed_by: Annotated[
        Path | None,
        typer.Option(
            "--signed-by", help="A public key (FILE.pub): the bundle must be signed by it."
        ),
    ] = None,
    parent: Annotated[
        Path | None,
        typer.Option(
            help="The bundle that it is said to descend from: the digests must agree.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check the signature if a key is named, and every SHA-256; then run the self-test here."""
    from fmtool import bundle as bundles
    from fmtool.bundle.signing import bundle as signature
    from fmtool.bundle.signing import key_files
    from fmtool.cli import console
    from runtime.engines.selftest import self_test

    keys = [key_files.read_public(signed_by)] if signed_by is not None else []
    with bundles.open(bundle) as opened:
        if keys:
            signer, _ = signature.require(opened.path / bundles.MANIFEST, keys)
            console.put(f"signed by {signer.name}")
        if parent is not None:
            with bundles.open(parent) as other:
                opened.check_parent(other)
            console.put(f"a child of {other.name}, {other.digest}")
        with console.activity("Running the self-test"):
            described, outcome = self_test(opened, engine, device)
    console.put(f"{opened.name}: {len(opened.manifest.files)} files match their SHA-256")
    console.put(f"self-test passed on {described}")
    for name, error in outcome.errors.items():
        console.put(f"  {name}: error {error:.1e}")


@app.command("robustness")
def robustness(
    summary: Annotated[
        Path, typer.Argument(help="robustness.json of `python -m benchmarks.robustness`.")
    ],
    bundle: Annotated[
        Path, typer.Option("--bundle", "-b", help="The folder of the bundle it was measured on.")
    ],
) -> None:
    """Put what was measured into the bundle: into its model card and every result's page."""
    from export.parts.robustness import attach
    from fmtool import bundle as bundles
    from fmtool.cli import console

    with bundles.open(bundle) as opened:
        written = attach(opened, summary)
    console.put(f"{written.path}\ndigest {written.digest}")


@app.command("keygen")
def keygen(
    file: Annotated[Path, typer.Argument(help="For the private key; the public one: FILE.pub.")],
) -> None:
    """Make a key to sign bundles with: a private file for you alone, and a public one to give."""
    from fmtool.bundle.signing import key_files
    from fmtool.cli import console

    public = key_files.generate(file)
    console.say(f"Keep {file} to yourself: whoever has it signs as you.")
    console.put(f"{file}{key_files.SUFFIX}: public key {public.name}")


@app.command("sign")
def sign(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.", show_default=False)],
    key: Annotated[Path, typer.Option("--key", help="Your private key, made by keygen.")],
) -> None:
    """Sign a bundle that is whole: its manifest, which pins every other file."""
    from fmtool import bundle as bundles
    from fmtool.bundle.signing import bundle as signature
    from fmtool.bundle.signing import key_files
    from fmtool.cli import console
    from fmtool.errors import UsageError

    private = key_files.read_private(key)
    if bundle.is_file():
        raise UsageError(f"{bundle} is packed; sign the bundle's folder, then pack it")
    with bundles.open_unsigned(bundle) as opened:
        written = signature.sign(opened.path / bundles.MANIFEST, private)
    console.put(f"{written}: signed by {private.public.name}")
