"""Batches of the volumes that are measured on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bench import inputs

VOLUMES = {"volume": np.arange(3, dtype=np.float32)[:, None], "mask": np.ones((3, 1), np.float32)}


@pytest.mark.parametrize(
    ("size", "start", "wanted"),
    [
        (1, 0, [0]),
        (1, 2, [2]),
        (3, 0, [0, 1, 2]),
        (2, 2, [2, 0]),
        (4, 1, [1, 2, 0, 1]),
        (1, 4, [1]),
    ],
)
def test_a_batch_goes_on_from_the_first_where_there_are_no_more(
    size: int, start: int, wanted: list[int]
) -> None:
    found = inputs.batch(VOLUMES, size, start)
    assert found["volume"][:, 0].tolist() == wanted
    assert found["mask"].shape == (size, 1)
    assert found["volume"].flags.c_contiguous


def test_a_single_volume_is_not_copied() -> None:
    assert np.shares_memory(inputs.batch(VOLUMES, 1, 1)["volume"], VOLUMES["volume"])
