"""How nodes are divided among actors."""

from __future__ import annotations

import pytest

from runtime.batch.ray.layout import Node, slots

GIB = 1 << 30


@pytest.mark.parametrize(
    ("cpus", "gpus", "memory", "device", "count", "cores", "gpu"),
    [
        (4, 0, 64 * GIB, "cpu", 4, 1, 0.0),
        (4, 0, 0, "cpu", 4, 1, 0.0),
        (64, 0, 48 * GIB, "cpu", 16, 4, 0.0),
        (8, 0, 1 * GIB, "cpu", 1, 8, 0.0),
        (0, 0, 64 * GIB, "cpu", 0, 0, 0.0),
        (16, 1, 64 * GIB, "cuda", 8, 2, 0.125),
        (16, 2, 256 * GIB, "cuda", 16, 1, 0.125),
        (12, 4, 256 * GIB, "cuda", 12, 1, 0.3333),
        (16, 2, 256 * GIB, "cpu", 16, 1, 0.0),
        (16, 0, 256 * GIB, "cuda", 0, 0, 0.0),
        (2, 4, 256 * GIB, "cuda", 0, 0, 0.0),
    ],
)
def test_a_node_s_slots(cpus, gpus, memory, device, count, cores, gpu):
    found = slots(Node("id", "n", cpus, gpus, memory), device)
    assert len(found) == count
    assert [slot.index for slot in found] == list(range(count))
    assert {(slot.cores, slot.gpu) for slot in found} <= {(cores, gpu)}
    assert sum(slot.cores for slot in found) <= cpus
    assert sum(slot.gpu for slot in found) <= gpus
