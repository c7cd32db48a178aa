"""Where and on what a report was made, what else kept the machine busy, and joules drawn.

By the processor (RAPL) or the GPU (NVML), where this user may read them.
"""

from __future__ import annotations

import math
import os
import platform
import re
import time
from collections.abc import Callable
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
        "memory_gib": round((memory() or math.nan) / 2**30, 1),
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
    if not _STATUS.exists():
        return None  # not Linux
    match = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(encoding="utf-8"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


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


POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Meter:
    """A counter of joules, or the reason there is none.

    The counter is the whole package's or card's: whatever else runs there is in it.
    """

    read: Callable[[], float] | None
    source: str
    reason: str = ""


def meter(device: str, powercap: Path = POWERCAP) -> Meter:
    """The counter of "cpu" or "cuda:N"."""
    return _rapl(powercap) if device == "cpu" else _nvml(int(device.partition(":")[2] or 0))


def _rapl(folder: Path) -> Meter:
    packages = sorted(folder.glob("intel-rapl:?")) + sorted(folder.glob("intel-rapl:??"))
    if not packages:
        return Meter(None, "RAPL", f"this machine offers no energy counter in {folder}")
    wrap = {}
    try:
        for package in packages:
            (package / "energy_uj").read_text()
            wrap[package] = int((package / "max_energy_range_uj").read_text())
    except OSError as error:
        return Meter(None, "RAPL", f"{error.filename} cannot be read ({error.strerror})")
    last = {package: 0 for package in packages}
    laps = {package: 0 for package in packages}

    def read() -> float:
        """Microjoules restart from zero at the counter's end: a lower reading is another lap."""
        total = 0
        for package in packages:
            now = int((package / "energy_uj").read_text())
            laps[package] += now < last[package]
            last[package] = now
            total += now + laps[package] * wrap[package]
        return total / 1e6

    return Meter(read, "RAPL")


def _nvml(index: int) -> Meter:
    try:
        import pynvml
    except ImportError:
        return Meter(None, "NVML", "pynvml is not installed (`pip install nvidia-ml-py`)")
    try:
        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetHandleByIndex(index)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(card)
    except pynvml.NVMLError as error:
        return Meter(None, "NVML", f"the NVIDIA driver does not tell its energy ({error})")
    return Meter(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1e3, "NVML")
