"""A bundle's network in one of the runtime's engines, opened step by step."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from benchmarks.bench import probe
from benchmarks.bench.system import Laps, System
from fmtool import bundle as bundles
from fmtool.errors import CapabilityError, ParityError
from runtime.engines import selftest
from runtime.engines.base import Arrays
from runtime.engines.choose import choose, open_bundle
from runtime.engines.table import NATIVE


class EngineSystem(System):
    """See `System`; an engine that knows its parts offers them as its attribute `split`.

    Args:
        spec: "bundle", "engine", "device" and "precision".
        laps: told when the library, the bundle and the compiled model are there.
    """

    def __init__(self, spec: dict[str, Any], laps: Laps) -> None:
        self._choice = choice = choose(spec["engine"], spec["device"], spec["precision"])
        laps.lap("library")
        self._bundle = bundles.open(spec["bundle"])
        laps.lap("bundle")
        said: list[str] = []
        self._engine = open_bundle(self._bundle, choice, said.append)
        laps.lap("compile")
        self.device, self.precision = self._engine.device, self._engine.precision
        self.facts = {
            "library": self._engine.library,
            "version": self._engine.version,
            "device": self.device,
            "precision": self.precision,
            "said": said,
        }

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs."""
        return self._engine.run(inputs)

    def probes(self) -> probe.Make:
        """Probes in the same library; in torch for engines that are built of bundles alone."""
        if self._choice.engine in NATIVE:
            if find_spec("torch") is None:
                raise CapabilityError("a GPU's peak is measured with torch (`fmtool[train]`)")
            return probe.of_torch(self.precision, self.device)
        return probe.of_engine(self._choice)

    def split(self) -> dict[str, float] | None:
        """As the engine tells it."""
        found: dict[str, float] | None = getattr(self._engine, "split", None)
        return found

    def self_test(self) -> str | None:
        """Run the bundle's self-test, whatever an earlier run found."""
        try:
            selftest.run(self._engine, self._bundle)
        except ParityError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()
