"""Where and on what a report was made, and what else kept the machine busy."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fmtool import __version__
from fmtool.bundle import Bundle

LOADED = 0.5
"""Load average per core from which on a warning is due."""

_STATUS = Path("/proc/self/status")
_STAT = Path("/proc/stat")


def header(bundle: Bundle) -> dict[str, Any]:
    """The machine, its load, the bundle and the date, as plain data."""
    from runtime import doctor  # here, because a worker loads this file
    from runtime.engines import cuda
    from runtime.system.machine import cores, cpu_name, instructions, memory

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": cpu_name(),
        "instructions": instructions(),
        "gpus": doctor.gpus(),
        "driver_cuda": cuda.driver(),
        "cores": cores(),
        "machine_cores": os.cpu_count(),
        "memory_gib": round(memory() / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fmtool": __version__,
        "bundle": {"name": bundle.name, "digest": bundle.digest},
    }


def warnings(facts: dict[str, Any]) -> list[str]:
    """What a reader of the figures has to know about the machine."""
    per_core = facts["load_average"] / facts["cores"]
    if per_core <= LOADED:
        return []
    return [
        f"This machine was busy when the run began (load average {facts['load_average']:g} on "
        f"{facts['cores']} cores): trust the ratios, not the seconds."
    ]


def peak_memory() -> int | None:
    """The most bytes of memory that this process ever held (VmHWM); None where it is not told.

    Not getrusage: its peak is inherited from the process that started this one.
    """
    return _status("VmHWM")


def resident_memory() -> int | None:
    """The bytes of memory that this process holds (VmRSS)."""
    return _status("VmRSS")


def _status(name: str) -> int | None:
    found = _field(_STATUS, name)
    return None if found is None else found * 1024


def _field(file: Path, name: str) -> int | None:
    if not file.exists():
        return None  # not Linux
    match = re.search(rf"^{name}:\s+(\d+) kB", file.read_text(encoding="utf-8"), re.MULTILINE)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Clocks:
    """Wall seconds, this process's processor seconds, and the whole machine's busy ones."""

    wall: float
    own: float
    machine: float | None

    @classmethod
    def now(cls) -> Clocks:
        """Read all three."""
        machine = None
        if _STAT.exists():
            user, nice, system, _, _, irq, softirq, steal = map(
                int, _STAT.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
            )
            machine = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return cls(time.perf_counter(), time.process_time(), machine)
