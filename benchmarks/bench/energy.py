"""Joules drawn by the processor (RAPL) or the GPU (NVML), where this user may read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
