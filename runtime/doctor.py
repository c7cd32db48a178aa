"""What this machine can run: the processor, the engines, and why the others are missing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from fmtool import __version__
from runtime.engines.choose import backends, choose


def examine() -> dict[str, Any]:
    """Facts about this machine as plain data.

    Returns:
        "fmtool", "python", "processor", "cores" (usable by this process), "memory_gib",
        "backends" (name, version, available, reason), "choice" (what `auto` takes and why, or
        None), "training" (what the `train` extra brings, with versions or None).
    """
    found = backends()
    usable = any(b.available for b in found)
    choice = choose() if usable else None
    return {
        "fmtool": __version__,
        "python": platform.python_version(),
        "processor": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "backends": [vars(b) for b in found],
        "choice": vars(choice) if choice else None,
        "training": {name: _version(name) for name in ("torch", "monai", "scikit-learn")},
    }


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux: the platform module's answer is all there is
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
