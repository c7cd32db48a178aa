"""The options that trainings share: one for each field of what a run takes, and of `Settings`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from fmtool.cli.options import BundleOption
from fmtool.task import BUILT_IN
from fmtool.task import get as get_task
from training.fit.settings import Settings

PRETRAINING = Settings()
FROM_LABELS = Settings(epochs=300, learning_rate=1e-4)
"""The paper's."""

EncoderName = StrEnum("EncoderName", ["resnet18", "resnet50", "vit_tiny", "vit_base"])
ArchitectureOption = Annotated[EncoderName, typer.Option(help="Of the encoder.")]
WidthOption = Annotated[float, typer.Option(help="Scales the encoder's channels.")]
RecomputeOption = Annotated[
    bool,
    typer.Option("--recompute", help="Recompute activations in the backward pass: less memory."),
]
EncoderOption = Annotated[
    Path, typer.Option("--encoder", "-e", help="A checkpoint, or what `train import` wrote.")
]
CohortArgument = Annotated[
    Path,
    typer.Argument(
        help="A CSV (image_path, mask_path, label) or a BIDS folder.", show_default=False
    ),
]
CacheOption = Annotated[Path, typer.Option(help="Folder for prepared volumes and embeddings.")]
CACHE = Path(".cache/fmtool")


def _known_task(name: str) -> str:
    """Refuse an unknown task before anything heavy is imported."""
    get_task(name)
    return name


TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        "-t",
        help=f"{', '.join(BUILT_IN)}, or a task's .toml file.",
        callback=_known_task,
    ),
]
AllowSitesOption = Annotated[
    bool, typer.Option("--allow-sites", help="Accept scans of more than one site.")
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse rows without a label, which are left out otherwise."),
]
EachScanOption = Annotated[
    bool,
    typer.Option(
        "--each-scan-is-a-person", help="Where neither table nor paths say whom a scan shows."
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Keep scans that a check refuses; they are left out if not.")
]
PlotOption = Annotated[
    bool,
    typer.Option(
        "--plot", help="Draw the out-of-fold predictions, too: PNG and SVG beside the head."
    ),
]
SplitOption = Annotated[
    Path | None,
    typer.Option(
        "--split",
        help="Of `train split`: who validates and tests by it is left out.",
        show_default=False,
    ),
]

_SeveralOption = Annotated[
    list[str],
    typer.Option(
        "--task",
        "-t",
        help=f"{', '.join(BUILT_IN)}, or a task's .toml file; repeat for several, which then train "
        "one encoder together (labels may be missing).",
        callback=lambda names: [_known_task(name) for name in names],
    ),
]

_READY: dict[str, Any] = {"bundle": BundleOption, "tasks": _SeveralOption}
_WORDS = {"out": ("--out", "-o"), "clip_norm": ("--clip",), "input_shape": ("--input",)}


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with an option for each field of the dataclasses among its parameters.

    An option's default is the parameter's own, or else the class's; its help is what the class's
    docstring says of the attribute.
    """
    hints = get_type_hints(function, include_extras=True)
    kinds: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    options: list[Parameter] = []
    for parameter in signature(function).parameters.values():
        if parameter.name in kinds:
            options += _options(kinds[parameter.name], parameter.default)
        else:
            options.append(parameter.replace(annotation=hints[parameter.name]))

    def verb(**given: Any) -> None:
        for name, kind in kinds.items():
            words = {field.name: given.pop(field.name) for field in fields(kind)}
            given[name] = kind(**{n: getattr(word, "value", word) for n, word in words.items()})
        function(**given)

    verb.__doc__ = function.__doc__
    options = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
    verb.__signature__ = Signature(options)  # type: ignore[attr-defined]
    return verb


def _options(kind: Any, given: Any) -> Iterator[Parameter]:
    """The fields of a dataclass as parameters; `given` is an instance with defaults, if any."""
    said = _said(kind)
    hints: dict[str, Any] = get_type_hints(kind)
    for field in fields(kind):
        default = _default(field) if given is Parameter.empty else getattr(given, field.name)
        hint = hints[field.name]
        words = _WORDS.get(field.name, (f"--{field.name.replace('_', '-')}",))
        info = typer.Option(*words, help=said[field.name], show_default=default is not None)
        annotation = _READY.get(field.name, Annotated[hint, info])
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default


def _said(kind: Any) -> dict[str, str]:
    """What a class's docstring says of each attribute, as a sentence."""
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", kind.__doc__, re.MULTILINE)
    sentences = {name: " ".join(words.split()) for name, words in found}
    return {name: f"{words[0].upper()}{words[1:]}" for name, words in sentences.items()}
