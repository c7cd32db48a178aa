"""What a command line of `fmtool export` asks for, checked before the work begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.targets import TARGETS, takers
from fmtool.errors import UsageError
from runtime.engines.trt.bindings import Batches, check_target, parse_batches

UNDECLARED = (1, 2)
"""The batches of the comparison without --batch: two rows show whether they are kept apart."""

_LIBRARIES = tuple(target.name for target in TARGETS if target.where == "engine cache")


@dataclass(frozen=True)
class ExportRequest:
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


def request(
    chosen: Sequence[str],
    targets: Sequence[str] = (),
    batch: str | None = None,
    engines: bool = False,
    calibration: bool = False,
) -> ExportRequest:
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
        raise UsageError(f"{option} belongs to {', '.join(takers(option))}; say one of them too")
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
    batches = parse_batches("1" if batch is None else batch)
    if batches[0] > 1 and {"triton", "tensorrt"} <= set(chosen):
        raise UsageError(
            f"Triton sends single scans too, and this engine would take no less than {batches[0]} "
            f"at once; say --batch 1,{batches[1]},{batches[2]}"
        )
    return ExportRequest(
        libraries,
        tuple(dict.fromkeys(targets)) or (None,),
        batches,
        UNDECLARED if batch is None else tuple(sorted({1, *batches})),
        precision,
        served,
        asked=bool(named),
    )
