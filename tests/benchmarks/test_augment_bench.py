"""The arithmetic of the augmentation's benchmark, on a tiny volume; no time is judged."""

import pytest
import torch

from benchmarks import augment
from training.augment import PARTS, SimCLRAugment


def test_a_row_per_view_and_both_recipes_agree_without_rotation():
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (16, 18, 20)), indexing="ij")
    mask = z**2 + y**2 + x**2 < 0.7
    volume = (2 + torch.sin(2 * z + y) + x) * mask
    fused = SimCLRAugment((16, 18, 20), (6, 6, 6), parts=frozenset(PARTS))
    rows = list(augment.measure(volume, mask, 8, fused))
    assert len(rows) == 8
    still = [r for r in rows if not r["rotated"]]
    assert 0 < len(still) < 8
    assert max(r["difference"] for r in still) < 1e-4
    assert min(r["dice"] for r in still) == 1.0


def test_summary_separates_rotated_views():
    rows = [
        {"rotated": r, "monai_s": m, "fused_s": f, "ratio": m / f, "difference": d, "dice": 1 - d}
        for r, m, f, d in ((False, 3.0, 1.0, 0.0), (True, 8.0, 1.0, 0.02), (True, 8.0, 2.0, 0.01))
    ]
    summary = augment.summarise(rows)
    assert [summary[c]["views"] for c in ("all", "not rotated", "rotated")] == [3, 1, 2]
    assert summary["all"]["ratio"] == 4.0
    assert summary["all"]["total_ratio"] == pytest.approx(19 / 4)
    assert summary["rotated"]["lowest_ratio"] == 4.0
    assert summary["rotated"]["max_difference"] == 0.02
    assert "rotated" not in augment.summarise(rows[:1])
