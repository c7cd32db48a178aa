"""How often scans go through the encoder; seconds are measured, not tested."""

from __future__ import annotations

import pytest
import torch

from benchmarks import probe_speed
from training import encoders


def test_the_reference_forwards_every_scan_every_epoch_and_ours_once() -> None:
    entries, rows = probe_speed.make(14, (16, 16, 16))
    found = probe_speed.measure(entries, rows, 1 / 32, 2)
    assert found["passes"] == {
        "reference": 100 * 14,
        "ours_first": 14,
        "ours_cached": 0,
        "ratio": pytest.approx(100.0),
    }
    seconds = found["seconds"]
    assert found["ratio_first"] == pytest.approx(seconds["reference"] / seconds["ours_first"])
    assert seconds["reference_epoch"][0] <= seconds["reference_epoch"][2]


def test_passes_are_scans_not_batches_and_the_hook_goes() -> None:
    encoder = encoders.build(width=1 / 32).eval()
    with probe_speed.counted(encoder) as passes, torch.no_grad():
        encoder(torch.zeros(3, 1, 16, 16, 16))
        encoder(torch.zeros(1, 1, 16, 16, 16))
    assert passes.count == 4
    with torch.no_grad():
        encoder(torch.zeros(2, 1, 16, 16, 16))
    assert passes.count == 4
