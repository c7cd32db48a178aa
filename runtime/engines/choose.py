"""Which engine, device and precision to use, and why; an explicit wish is met or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, UsageError
from fmtool.errors.advice import option
from runtime.engines import cuda, here, opening, table
from runtime.engines.base import Engine
from runtime.engines.opening import Say
from runtime.engines.table import EngineRow

PRECISIONS = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        engine: "auto", or a name of `runtime.engines.table`.
        device: "auto", "cpu", "cuda" (the first GPU) or "cuda:N".
        precision: "auto", or one of `PRECISIONS`.
    """

    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True)
class Choice:
    """What will run.

    Attributes:
        engine: a name of `runtime.engines.table`.
        device: "cpu" or "cuda:N".
        precision: "float32", "bfloat16", "float16" or "int8".
        reason: one sentence for people.
        auto: what was left to `choose`: "engine", "precision".
    """

    engine: str
    device: str
    precision: str
    reason: str
    auto: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backend:
    """One way to run a model, and whether this machine has it.

    Attributes:
        name: the engine's, with the device where it has several.
        device: "cpu" or "cuda".
        version: the installed version, or None.
        available: whether a model can run on it here.
        reason: what is missing and how to get it, or what it is good for.
        precisions: what it can compute in.
        get: the command that installs it.
    """

    name: str
    device: str
    version: str | None
    available: bool
    reason: str
    precisions: tuple[str, ...]
    get: str


def choose(
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    stored: Iterable[str] = ("float32",),
) -> Choice:
    """The fastest combination this machine offers within what was asked for.

    Args:
        engine, device, precision: see `Wish`.
        stored: the graphs that the bundle holds; on a GPU `auto` takes float16 where there is one.

    Raises:
        UsageError: for an unknown name, listing the valid ones.
        CapabilityError: if this machine, or the engine, cannot do what was asked for.
    """
    check_words(engine, precision)
    row, number, why = _row(engine, device)
    where = "cpu" if row.device == "cpu" else f"cuda:{number}"
    can = here.precisions(row)
    if precision == "auto":
        precision, because = _fastest(row, can, stored)
        why.append(because)
        free: tuple[str, ...] = ("precision",)
    elif precision not in can:
        raise CapabilityError(
            f"{row.title} does not compute in {precision} on {where} here; "
            f"it does in {', '.join(can)}"
        )
    else:
        free = ()
    if engine == "auto":
        free = ("engine", *free)
    return Choice(row.name, where, precision, "; ".join(why) if why else "as asked for", free)


def check_words(engine: str, precision: str) -> None:
    """Refuse names that no machine knows.

    Raises:
        UsageError: listing the valid ones.
    """
    _check("engine", engine, ("auto", *table.NAMES))
    _check("precision", precision, ("auto", *PRECISIONS))


def open_engine(model: Path | bytes, choice: Choice) -> Engine:
    """An ONNX file as chosen; close the engine, or use it as a context manager.

    Raises:
        CapabilityError: if this machine cannot do what was chosen.
    """
    return opening.open_file(_chosen(choice), model, choice.device, choice.precision)


def open_bundle(bundle: Bundle, choice: Choice, say: Say = lambda sentence: None) -> Engine:
    """A bundle's model as chosen, in the graph that its precision needs.

    Args:
        bundle: whose model.
        choice: by `choose`.
        say: told when and why something is compiled that takes its time.

    Raises:
        CapabilityError: if this machine cannot do what was chosen.
        BundleError: if the bundle has no graph of that precision.
        EngineError: if the model cannot be compiled, or not loaded.
    """
    return opening.open_bundle(_chosen(choice), bundle, choice.device, choice.precision, say)


def backends() -> list[Backend]:
    """Every way to run a model that fmtool knows, with its version or what it lacks here."""
    found = []
    for row in sorted(table.ROWS, key=lambda row: row.device != "cpu"):
        lacks = here.missing(row)
        several = row.device != "cpu" and table.find(row.name, "cpu")
        found.append(
            Backend(
                f"{row.name} cuda" if several else row.name,
                row.device,
                here.version(row),
                lacks is None,
                lacks or row.good_for,
                row.precisions if lacks else here.precisions(row),
                row.get,
            )
        )
    return found


def _check(what: str, name: str, valid: Iterable[str]) -> None:
    if name not in valid:
        raise UsageError(f"unknown {what} {name!r}; there are {', '.join(valid)}")


def _chosen(choice: Choice) -> EngineRow:
    row = table.find(choice.engine, "cpu" if choice.device == "cpu" else "cuda")
    assert row is not None, f"{choice} was not made by choose()"
    return row


def _row(engine: str, device: str) -> tuple[EngineRow, int, list[str]]:
    """The row to take, the GPU's number (0 on the CPU), and why."""
    number = 0 if device in ("auto", "cpu") else cuda.index(device)
    kind = device if device in ("auto", "cpu") else "cuda"
    if engine == "auto":
        return _any(kind, number)
    rows = [row for row in table.ROWS if row.name == engine]
    fit = [row for row in rows if kind in ("auto", row.device)]
    if not fit:
        where, advice = "the CPU", option("; for a GPU say --engine onnxruntime")
        if kind == "cpu":
            where, advice = "an NVIDIA GPU", option("; for the CPU say --engine openvino")
        raise CapabilityError(f"{rows[0].title} runs on {where}{advice}")
    *first, last = fit
    why = []
    for row in first:  # where it may run on either, the GPU, if that is ready
        lacks = here.missing(row, number)
        if lacks is None:
            return row, number, ["a GPU is ready"]
        why.append(f"no GPU is used: {cuda.missing(number) or lacks}")
    lacks = here.missing(last, number)
    if lacks:
        raise CapabilityError(f"{_on(last, number)} cannot be used: {lacks}")
    if kind == "auto" and not why:
        why.append(f"{last.title} runs on {'the CPU' if last.device == 'cpu' else 'an NVIDIA GPU'}")
    return last, number, why


def _any(kind: str, number: int) -> tuple[EngineRow, int, list[str]]:
    """The first row that can run, with what kept the GPU's from it."""
    why = []
    if kind != "cpu":
        nothing = cuda.missing(number)
        for row in () if nothing else _on_a("cuda"):
            if here.missing(row, number) is None:
                return row, number, [f"a GPU is ready, and {row.title} is {row.good_for}"]
        any_gpus = _on_a("cuda")[-1]  # the one that any GPU can run
        if kind == "cuda":
            raise CapabilityError(
                f"cuda:{number} cannot be used: {here.missing(any_gpus, number)}; "
                "`fmtool doctor` lists what else there is"
            )
        why.append(f"no GPU is used: {nothing or here.missing(any_gpus, number)}")
    for row in _on_a("cpu"):
        if here.missing(row) is None:
            return row, 0, [*why, f"{row.title} is {_praise(row)}"]
    raise CapabilityError(
        "no inference engine is installed; `pip install 'fmtool[cpu]'` brings two for the CPU, "
        "`fmtool[gpu]` one for an NVIDIA GPU"
    )


def _on_a(device: str) -> list[EngineRow]:
    return [row for row in table.ROWS if row.device == device]


def _on(row: EngineRow, number: int) -> str:
    return row.title if row.device == "cpu" else f"{row.title} on cuda:{number}"


def _praise(row: EngineRow) -> str:
    first = _on_a("cpu")[0]
    if row == first:
        return "the fastest engine on a CPU"
    return f"what there is: {first.title}, which would be faster, is not installed"


def _fastest(row: EngineRow, can: tuple[str, ...], stored: Iterable[str]) -> tuple[str, str]:
    """Never int8: how much it moves the outputs is the bundle's maker's to judge."""
    if row.device == "cpu" and "bfloat16" in can:
        return "bfloat16", "this CPU computes bfloat16 natively"
    if row.device == "cuda" and "float16" in can and "float16" in stored:
        return "float16", "the bundle has a float16 graph"
    return "float32", "float32 is the reference"
