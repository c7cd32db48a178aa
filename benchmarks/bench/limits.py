"""Each candidate's place under the hardware's roof."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bench import flops, roofline
from benchmarks.bench.record import Record
from benchmarks.bench.rounds import PEAK
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError


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
        record.roofline = roofline.place(
            layers,
            record.precision,
            record.summary().median,
            record.peak["flop_per_second"],
            record.bandwidth,
        )
