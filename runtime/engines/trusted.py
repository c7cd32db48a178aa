"""An engine that has reproduced the bundle's self-test, or the next more exact one that has."""

from __future__ import annotations

from dataclasses import replace

from fmtool.bundle import Bundle
from fmtool.errors import ParityError
from runtime.engines import selftest
from runtime.engines.base import Engine
from runtime.engines.choose import Choice, open_engine


def open_trusted(
    bundle: Bundle, choice: Choice, fresh: bool = False
) -> tuple[Engine, Choice, selftest.SelfTest]:
    """Open the bundle's model as chosen, provided that it passes the self-test.

    A reduced precision was chosen for speed. A bundle whose heads do not bear it is run in float32
    instead, and the choice's reason says so.

    Args:
        bundle: whose model to open.
        choice: by `choose`, its precision chosen automatically.
        fresh: run the self-test even if an earlier process did.

    Returns:
        The engine, to be closed by the caller; what was chosen in the end; the passed self-test.

    Raises:
        ParityError: if float32 fails too.
    """
    try:
        return _open(bundle, choice, fresh)
    except ParityError:
        if choice.precision == "float32":
            raise
        reason = f"{choice.reason}, but it is too coarse for this bundle's self-test, so float32"
        return _open(bundle, replace(choice, precision="float32", reason=reason), fresh)


def _open(bundle: Bundle, choice: Choice, fresh: bool) -> tuple[Engine, Choice, selftest.SelfTest]:
    # The float32 file serves every precision but float16, which has a graph of its own.
    stored = "float16" if choice.precision == "float16" else "float32"
    engine = open_engine(bundle.model(stored), choice)
    try:
        passed = selftest.run(engine, bundle) if fresh else selftest.verify(engine, bundle)
    except BaseException:
        engine.close()
        raise
    return engine, choice, passed
