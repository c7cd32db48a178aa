"""The roofline (Williams, Waterman, Patterson 2009): how near a latency is to what the device can.

Each layer takes at least its operations at the device's peak, and at least its traffic at the
memory's speed, whichever is longer; the network's limit is the sum of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.bench import flops
from benchmarks.bench.flops import Layer
from benchmarks.bench.record import Record
from benchmarks.bench.rounds import PEAK
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Of one value."""


def place(
    layers: Sequence[Layer], precision: str, latency: float, peak: float, bandwidth: float
) -> dict[str, Any]:
    """Where a latency lies under its roof.

    Args:
        layers: of the network, for one volume.
        precision: what it computes in, which sets the bytes per value.
        latency: seconds per volume.
        peak: operations per second.
        bandwidth: bytes per second.

    Returns:
        "flop", "bytes", "flop_per_second", "share_of_peak", "intensity" (operations per byte),
        "limit_seconds", "share_of_roofline", and "bound": "compute" or "memory", whichever limits
        the layers that take most of the time.
    """
    size = BYTES[precision]
    flop = sum(layer.flop for layer in layers)
    traffic = sum(layer.values for layer in layers) * size
    limits = [(layer.flop / peak, layer.values * size / bandwidth) for layer in layers]
    limit = sum(max(pair) for pair in limits)
    by_compute = sum(compute for compute, memory in limits if compute >= memory)
    return {
        "flop": flop,
        "bytes": traffic,
        "flop_per_second": flop / latency,
        "share_of_peak": flop / latency / peak,
        "intensity": flop / traffic,
        "limit_seconds": limit,
        "share_of_roofline": limit / latency,
        "bound": "compute" if 2 * by_compute >= limit else "memory",
    }


def fill(records: Sequence[Record], bundle: Bundle) -> None:
    """Count the graph's operations and place every record; where it cannot be, the reason."""
    try:
        layers = flops.count(bundle.model())
    except CapabilityError as error:
        for record in records:
            record.reasons |= dict.fromkeys((*PEAK, "intensity"), str(error))
        return
    for record in records:
        if record.peak is None or record.bandwidth is None:
            continue  # its reasons are noted
        record.roofline = place(
            layers,
            record.precision,
            record.summary().median,
            record.peak["flop_per_second"],
            record.bandwidth,
        )
