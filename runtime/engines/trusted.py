"""An engine that has reproduced the bundle's self-test, or the next more exact one that has."""

from __future__ import annotations

from dataclasses import replace

from fmtool.bundle import Bundle
from fmtool.errors import EngineError, ParityError
from runtime.engines import selftest
from runtime.engines.base import Engine
from runtime.engines.choose import Choice, choose, open_bundle
from runtime.engines.opening import Say


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
            f"{error}; {choice.engine} was chosen automatically, name another with --engine"
        ) from error


def self_test(bundle: Bundle, engine: str, device: str) -> tuple[str, selftest.SelfTest]:
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
    """
    choice = choose(engine, device, stored=bundle.manifest["model"])
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
