"""What `fmtool export` can write: one table for its help, its argument checks and the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmtool.errors import UsageError
from runtime.engines.trt.bindings import Batches, check_target


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        name: the short name; for an engine, the library's in `runtime.engines.trt.bindings`.
        option: what asks for it; "" is always written.
        what: it is, as the option's help.
        file: its name, or how its name ends.
        needs: to be installed, or to be there.
        options: further options it takes.
        where: it is written: "bundle" or "engine cache".
    """

    name: str
    option: str
    what: str
    file: str
    needs: str
    options: tuple[str, ...]
    where: str


TARGETS = (
    Target("onnx", "", "The float32 model.", "model.onnx", "fmtool[train]", (), "bundle"),
    Target(
        "fp16",
        "--fp16",
        "Add an FP16 model, for a GPU; and its engine, where there is a library and a GPU for it.",
        "model.fp16.onnx",
        "fmtool[train]",
        ("--target", "--batch", "--engines"),
        "bundle",
    ),
    Target(
        "tensorrt",
        "--tensorrt",
        "Add a TensorRT engine for the GPU at hand.",
        ".plan",
        "fmtool[tensorrt], and the GPU it is for",
        ("--target", "--batch", "--engines"),
        "engine cache",
    ),
    Target(
        "rtx",
        "--rtx",
        "Add TensorRT-RTX engines; needs no GPU.",
        ".rtx",
        "fmtool[rtx]",
        ("--target", "--batch", "--engines"),
        "engine cache",
    ),
)

OPTIONS = {
    "--target": "A GPU architecture to build for, such as sm89; repeat for several. The GPU at "
    "hand if absent.",
    "--batch": "Smallest, usual and largest batch of an engine: 1,4,8; one number for all three.",
    "--engines": "Folder to keep engines in; the user's cache folder if absent.",
}


@dataclass(frozen=True)
class Request:
    """The engines to build.

    Attributes:
        libraries: short names, in the order they are built with.
        targets: GPU architectures; None is the GPU at hand.
        batches: smallest, usual and largest.
        precision: of the graph they are built from.
        asked: whether the user named a library or a GPU, and wants to hear what is missing.
    """

    libraries: tuple[str, ...]
    targets: tuple[str | None, ...]
    batches: Batches
    precision: str
    asked: bool


def help_of(option: str) -> str:
    """An option's help; of one that others take along, with their names."""
    for target in TARGETS:
        if target.option == option:
            return target.what
    takers = ", ".join(target.option for target in TARGETS if option in target.options)
    return f"{OPTIONS[option]} [{takers}]"


def table() -> str:
    """The targets as a Markdown table."""
    head = "| option | writes | where | needs | takes |\n|---|---|---|---|---|\n"
    rows = (
        f"| {_code(t.option) or '(always)'} | {_code(_file(t))} | {t.where} | {t.needs} | "
        f"{', '.join(map(_code, t.options)) or '-'} |\n"
        for t in TARGETS
    )
    return head + "".join(rows)


def request(
    chosen: Sequence[str],
    targets: Sequence[str] = (),
    batch: str | None = None,
    engines: bool = False,
) -> Request:
    """What was asked for, checked before the work begins.

    Args:
        chosen: names in `TARGETS` whose option was given.
        targets: as given to `--target`.
        batch: as given to `--batch`.
        engines: whether `--engines` was given.

    Raises:
        UsageError: for an option without the one it belongs to, batches that are none, or a GPU
            that the library does not build for.
    """
    given = {"--target": bool(targets), "--batch": batch is not None, "--engines": engines}
    taken = {option for t in TARGETS if t.name in chosen for option in t.options}
    for option in (o for o, there in given.items() if there and o not in taken):
        takers = ", ".join(t.option for t in TARGETS if option in t.options)
        raise UsageError(f"{option} belongs to {takers}; say one of them too")
    precision = "float16" if "fp16" in chosen else "float32"
    named = tuple(name for name in _LIBRARIES if name in chosen)
    # FP16 is for a GPU. The library that builds for one that is elsewhere is TensorRT-RTX; for the
    # one at hand, whichever is there.
    implied = () if precision == "float32" else ("rtx",) if targets else _LIBRARIES
    libraries = named or implied
    for library in libraries:
        for target in targets:
            check_target(library, target, precision)
    return Request(
        libraries,
        tuple(dict.fromkeys(targets)) or (None,),
        _batches("1" if batch is None else batch),
        precision,
        asked=bool(named or targets),
    )


_LIBRARIES = tuple(target.name for target in TARGETS if target.where == "engine cache")


def _batches(text: str) -> Batches:
    numbers = [int(n) if n.strip().isdecimal() else 0 for n in text.split(",")]
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not 1 <= numbers[0] <= numbers[1] <= numbers[2]:
        raise UsageError(f"--batch is one number, or smallest,usual,largest; not {text!r}")
    return numbers[0], numbers[1], numbers[2]


def _file(target: Target) -> str:
    return f"NAME{target.file}" if target.file.startswith(".") else target.file


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
