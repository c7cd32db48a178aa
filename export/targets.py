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
        where: it is written: "bundle", "engine cache" or "DIR".
    """

    name: str
    option: str
    what: str
    file: str
    needs: str
    options: tuple[str, ...]
    where: str


_ALWAYS = ("--batch", "--calibration", "--cache")
_ENGINE = ("--target", "--batch", "--engines")

TARGETS = (
    Target("onnx", "", "The float32 model.", "model.onnx", "fmtool[train]", _ALWAYS, "bundle"),
    Target(
        "fp16",
        "--fp16",
        "Add an FP16 model, for a GPU; and its engine, where there is a library and a GPU for it.",
        "model.fp16.onnx",
        "fmtool[train]",
        (*_ENGINE, "--calibration"),
        "bundle",
    ),
    Target(
        "int8",
        "--int8",
        "Add an INT8 model, quantised on the scans of --calibration.",
        "model.int8.onnx",
        "fmtool[train]",
        ("--batch", "--calibration"),
        "bundle",
    ),
    Target(
        "tensorrt",
        "--tensorrt",
        "Add a TensorRT engine for the GPU at hand.",
        ".plan",
        "fmtool[tensorrt], and the GPU it is for",
        _ENGINE,
        "engine cache",
    ),
    Target(
        "rtx",
        "--rtx",
        "Add TensorRT-RTX engines; needs no GPU.",
        ".rtx",
        "fmtool[rtx]",
        _ENGINE,
        "engine cache",
    ),
    Target(
        "triton",
        "--triton",
        "Add the model to this Triton model repository: the FP16 one with --fp16, the engine with "
        "--tensorrt.",
        "config.pbtxt",
        "fmtool[train]",
        ("--batch",),
        "DIR",
    ),
)

OPTIONS = {
    "--target": "A GPU architecture to build for, such as sm89; repeat for several. The GPU at "
    "hand if absent.",
    "--batch": "Smallest, usual and largest batch: 1,4,8; one number for all three. The models are "
    "compared with torch at each of them and at 1.",
    "--engines": "The engine cache's folder; the user's cache folder if absent.",
    "--calibration": "A CSV or BIDS folder of scans: --int8 is calibrated on some of them, others "
    "join the comparison with torch, and up to 64 set the normal ranges of the checks.",
    "--cache": "Folder for prepared volumes.",
}

UNDECLARED = (1, 2)
"""The batches of the comparison without --batch: two rows show whether they are kept apart."""


@dataclass(frozen=True)
class Request:
    """What to write beside the float32 model.

    Attributes:
        libraries: whose engines to build, by short name, in the order they are built with.
        targets: GPU architectures; None is the GPU at hand.
        batches: smallest, usual and largest, of an engine.
        checked: the batch sizes to compare models with torch at.
        precision: of the graph that engines take.
        served: of the graph that the model repository takes: ONNX Runtime is slower in INT8.
        asked: whether the user named a library: one that was not named may stay unmentioned where
            another has built the engine.
    """

    libraries: tuple[str, ...]
    targets: tuple[str | None, ...]
    batches: Batches
    checked: tuple[int, ...]
    precision: str
    served: str
    asked: bool


def help_of(option: str) -> str:
    """An option's help; of one that only some take along, with their names."""
    for target in TARGETS:
        if target.option == option:
            return target.what
    takers = _takers(option)
    return OPTIONS[option] if "" in takers else f"{OPTIONS[option]} [{', '.join(takers)}]"


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
    calibration: bool = False,
) -> Request:
    """What was asked for, checked before the work begins.

    Args:
        chosen: names in `TARGETS` whose option was given.
        targets: as given to `--target`.
        batch: as given to `--batch`.
        engines: whether `--engines` was given.
        calibration: whether `--calibration` was.

    Raises:
        UsageError: for an option without the one it belongs to, batches that are none or that a
            Triton server could not fill, or a GPU that the library does not build for.
    """
    given = {"--target": bool(targets), "--engines": engines}
    taken = {option for t in TARGETS if t.name in chosen for option in t.options}
    for option in (o for o, there in given.items() if there and o not in taken):
        raise UsageError(f"{option} belongs to {', '.join(_takers(option))}; say one of them too")
    if "int8" in chosen and not calibration:
        raise UsageError(
            "--int8 needs scans to find each layer's range; name them with --calibration COHORT"
        )
    served = "float16" if "fp16" in chosen else "float32"
    precision = "int8" if "int8" in chosen else served
    named = tuple(name for name in _LIBRARIES if name in chosen)
    # FP16 is for a GPU. The library that builds for one that is elsewhere is TensorRT-RTX; for the
    # one at hand, whichever is there.
    implied = () if served == "float32" else ("rtx",) if targets else _LIBRARIES
    libraries = named or implied
    for library in libraries:
        for target in targets:
            check_target(library, target, precision)
    batches = _batches("1" if batch is None else batch)
    if batches[0] > 1 and {"triton", "tensorrt"} <= set(chosen):
        raise UsageError(
            f"Triton sends single scans too, and this engine would take no less than {batches[0]} "
            f"at once; say --batch 1,{batches[1]},{batches[2]}"
        )
    return Request(
        libraries,
        tuple(dict.fromkeys(targets)) or (None,),
        batches,
        UNDECLARED if batch is None else tuple(sorted({1, *batches})),
        precision,
        served,
        asked=bool(named),
    )


_LIBRARIES = tuple(target.name for target in TARGETS if target.where == "engine cache")


def _batches(text: str) -> Batches:
    numbers = [int(n) if n.strip().isdecimal() else 0 for n in text.split(",")]
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not 1 <= numbers[0] <= numbers[1] <= numbers[2]:
        raise UsageError(f"--batch is one number, or smallest,usual,largest; not {text!r}")
    return numbers[0], numbers[1], numbers[2]


def _takers(option: str) -> list[str]:
    return [target.option for target in TARGETS if option in target.options]


def _file(target: Target) -> str:
    return f"NAME{target.file}" if target.file.startswith(".") else target.file


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
