"""The self-test: an engine must reproduce the bundle's expected outputs before it is used.

The outcome is remembered in the user's cache folder, because the full-size network takes seconds;
the stamp is bound to the bundle, the library's version, the device, the processor (of a GPU also
its driver) and the precision. A float32 engine's failure is not: it has no business failing, and
may be looked into.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from fmtool import space
from fmtool.bundle import Bundle
from fmtool.environment import caches
from fmtool.errors import BundleError, EngineError, ParityError
from fmtool.errors.advice import option
from runtime.engines import cuda, selftest
from runtime.engines.base import Arrays, Engine
from runtime.engines.choose import Choice, choose, open_bundle
from runtime.engines.opening import Say
from runtime.system.machine import cpu_name


@dataclass(frozen=True)
class SelfTest:
    """A passed self-test.

    Attributes:
        errors: the error of each output: for the embedding ||a - b|| / ||b||; for a task
            |a - b| in its unit where the bundle gives such a tolerance, else relative to
            max(1, |b|).
        from_cache: True if an earlier process measured them.
        maps: the template's attribution maps by this engine, by output, [1, 1, d, h, w]: what a
            scan's maps are compared with.
    """

    errors: dict[str, float]
    from_cache: bool
    maps: Arrays = field(default_factory=dict)


def verify(engine: Engine, bundle: Bundle, cache_dir: Path | None = None) -> SelfTest:
    """`run`, unless an earlier process has tested this engine.

    Args:
        engine: the bundle's model, opened.
        bundle: what it must reproduce.
        cache_dir: where stamps are kept; by default the user's cache folder. Where it cannot
            be written the self-test simply runs each time.

    Raises:
        ParityError: if an output differs by more than the bundle's tolerance.
    """
    folder = cache_dir if cache_dir is not None else caches.folder("engines")
    stamp = folder / f"{_key(engine, bundle)}.json"
    known = _known(stamp)
    if known is not None:
        return known
    try:
        result = run(engine, bundle)
    except ParityError as error:
        if engine.precision != "float32":
            _remember(stamp, {"engine": engine.describe(), "refused": str(error)})
        raise
    maps = {name: values.tolist() for name, values in result.maps.items()}
    _remember(stamp, {"engine": engine.describe(), "errors": result.errors, "maps": maps})
    return result


def _known(stamp: Path) -> SelfTest | None:
    """What an earlier process found, if there is a sound stamp of it."""
    try:
        content = json.loads(stamp.read_text(encoding="utf-8"))
        refused = content.get("refused")
        errors = {str(k): float(v) for k, v in content.get("errors", {}).items()}
        maps = {k: np.array(v, dtype=np.float32) for k, v in content.get("maps", {}).items()}
        known = bool(errors) and "maps" in content  # earlier versions did not keep them
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # no stamp, or not a stamp: nothing is known about this engine, so measure
    if refused:
        raise ParityError(str(refused))
    return SelfTest(errors, from_cache=True, maps=maps) if known else None


def _remember(stamp: Path, content: dict[str, object]) -> None:
    with suppress(OSError):  # a read-only home costs a self-test per process, nothing else
        _write(stamp, content)


def run(engine: Engine, bundle: Bundle) -> SelfTest:
    """Run the bundle's template through `engine` and compare every output with what is expected.

    Raises:
        ParityError: if an output differs by more than the bundle's tolerance.
        BundleError: if the bundle gives no tolerance for the engine's precision.
    """
    expected = bundle.manifest.self_test
    if engine.precision not in expected.tolerance:
        raise BundleError(
            f"bundle {bundle.path} gives no self-test tolerance for {engine.precision}, "
            f"only for {', '.join(expected.tolerance)}; choose another precision"
        )
    relative, tasks = expected.tolerance[engine.precision], expected.by_task.items()
    in_units = {name: by[engine.precision] for name, by in tasks if engine.precision in by}
    embeddings = {encoder.embedding for encoder in bundle.manifest.encoders}
    outputs = engine.run(_template(bundle))
    errors = {}
    for name, values in expected.outputs.items():
        allowed = in_units.get(name, relative)
        if name in bundle.tasks:
            task = bundle.tasks[name]
            if len(values) != task.outputs:
                raise BundleError(
                    f"bundle {bundle.path} expects {len(values)} outputs of {name}, which has "
                    f"{task.outputs}; export the bundle again"
                )
            allowed *= task.slack(task.telling(values))
        if name not in outputs:
            raise ParityError(f"{engine.describe()} gives no output {name!r}")
        got, expects = outputs[name], np.asarray(values, dtype=np.float64)
        in_unit = name in in_units
        error = _distance(got, expects) if name in embeddings else _error(got, expects, in_unit)
        if not error <= allowed:  # NaN fails too
            raise ParityError(
                f"{engine.describe()} does not reproduce the bundle's self-test and is refused: "
                f"{name} is off by {error:.2g}, tolerance {allowed:.2g}; choose another engine "
                "or precision"
            )
        errors[name] = error
    counts = {name: task.outputs for name, task in bundle.tasks.items()}
    absent = [n for n, k in counts.items() if n not in outputs or outputs[n].shape[1:] != (k,)]
    if absent:
        raise ParityError(
            f"{engine.describe()} gives no output {absent[0]!r} of {counts[absent[0]]} values; "
            "export the bundle again"
        )
    wanted = [entry.map for entry in bundle.manifest.tasks.values()]
    maps = {name: outputs[name] for name in wanted if name in outputs}
    return SelfTest(errors, from_cache=False, maps=maps)


def _distance(got: np.ndarray, expected: np.ndarray) -> float:
    """Of an embedding, relative to its length."""
    found = got.astype(np.float64).ravel()
    if found.shape != expected.shape:
        return float("inf")
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _error(got: np.ndarray, expected: np.ndarray, absolute: bool) -> float:
    found = got.astype(np.float64).ravel()
    if found.shape != expected.ravel().shape:
        return float("inf")
    difference = found - expected.ravel()
    scale = 1.0 if absolute else np.maximum(1.0, np.abs(expected.ravel()))
    return float(np.max(np.abs(difference) / scale))


def _template(bundle: Bundle) -> Arrays:
    """The template as the network reads it, [1, 1, 150, 192, 192], with its brain as the mask."""
    image = nib.load(bundle.template)
    volume = np.ascontiguousarray(space.to_crop(np.asarray(image.dataobj)), dtype=np.float32)
    mask = (volume > 0).astype(np.float32)
    return {"volume": volume[None, None], "mask": mask[None, None]}


def _key(engine: Engine, bundle: Bundle) -> str:
    facts = [bundle.digest, engine.library, engine.version, engine.device, engine.precision]
    if engine.device == "cpu":
        chip = [cpu_name()]
    else:
        number = cuda.index(engine.device)
        chip = [str(cuda.name(number)), str(cuda.architecture(number)), str(cuda.driver())]
    return hashlib.sha256("\n".join([*facts, *chip]).encode()).hexdigest()


def _write(file: Path, content: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, suffix=".partial", delete=False, encoding="utf-8"
    ) as stream:
        json.dump(content, stream)
    os.replace(stream.name, file)


def open_trusted(
    bundle: Bundle,
    choice: Choice,
    fresh: bool = False,
    say: Say = lambda sentence: None,
) -> tuple[Engine, Choice, selftest.SelfTest]:
    """Open the bundle's model as chosen, provided that it passes the self-test.

    Where the precision was left to `choose`, it took a reduced one for speed; a bundle whose heads
    do not bear it is run in float32 instead, and the choice's reason says so. A precision that was
    asked for is not replaced.

    Args:
        bundle: whose model to open.
        choice: by `choose`.
        fresh: run the self-test even if an earlier process did.
        say: told when and why an engine is built.

    Returns:
        The engine, to be closed by the caller; what was chosen in the end; the passed self-test.

    Raises:
        ParityError: if the precision asked for, or float32, fails.
        EngineError: if the model cannot be compiled.
    """
    try:
        return _open(bundle, choice, fresh, say)
    except ParityError:
        if choice.precision == "float32" or "precision" not in choice.auto:
            raise
        reason = f"{choice.reason}, but it is too coarse for this bundle's self-test, so float32"
        return _open(bundle, replace(choice, precision="float32", reason=reason), fresh, say)
    except EngineError as error:
        if "engine" not in choice.auto:
            raise
        raise EngineError(
            f"{error}; {choice.engine} was chosen automatically"
            f"{option(', name another with --engine')}"
        ) from error


def self_test(
    bundle: Bundle, engine: str = "auto", device: str = "auto"
) -> tuple[str, selftest.SelfTest]:
    """Run the bundle's self-test on an engine of this machine, whatever an earlier run found.

    Args:
        bundle: whose self-test to run.
        engine: "auto", or a name of `runtime.engines.table`.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        The engine in words, and the error of each output.

    Raises:
        CapabilityError: if the engine or device asked for cannot run here.
        ParityError: if the engine does not reproduce the bundle's expected outputs.

    Example:
        >>> import fmtool
        >>> with fmtool.bundle.open() as bundle:
        ...     engine, passed = fmtool.self_test(bundle, "onnxruntime", "cpu")
        >>> engine, max(passed.errors.values()) < 1e-2
        ('onnxruntime ..., cpu, float32', True)
    """
    choice = choose(engine, device, stored=bundle.manifest.model)
    opened, _, passed = open_trusted(bundle, choice, fresh=True)
    with opened:
        return opened.describe(), passed


def _open(
    bundle: Bundle, choice: Choice, fresh: bool, say: Say
) -> tuple[Engine, Choice, selftest.SelfTest]:
    engine = open_bundle(bundle, choice, say)
    try:
        passed = selftest.run(engine, bundle) if fresh else selftest.verify(engine, bundle)
    except BaseException:
        engine.close()
        raise
    return engine, choice, passed
