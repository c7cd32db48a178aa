from __future__ import annotations

import pytest
import torch

from fmtool.errors import InputError
from training.fit.order import batches, steps_per_epoch
from training.fit.recipe import generator


def test_an_epoch_sees_each_scan_once_at_most() -> None:
    seen = [i for batch in batches(11, 3, 0, 0) for i in batch]
    assert len(seen) == 9 == len(set(seen))
    assert set(seen) <= set(range(11))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    assert batches(20, 4, 0, 0) == batches(20, 4, 0, 0)
    assert batches(20, 4, 0, 0) != batches(20, 4, 0, 1)
    assert batches(20, 4, 0, 0) != batches(20, 4, 1, 0)


def test_processes_share_what_one_would_see() -> None:
    alone = batches(20, 6, 5, 2)
    first, second = (batches(20, 3, 5, 2, processes=2, rank=rank) for rank in (0, 1))
    assert [a + b for a, b in zip(first, second, strict=True)] == alone


def test_too_few_scans_are_said() -> None:
    with pytest.raises(InputError, match="5 scans do not fill one batch of 6"):
        steps_per_epoch(5, 3, 2)


def test_generators_differ_by_every_number_of_their_key() -> None:
    keys = [(1, 2), (1, 2, 0), (2, 1), (1, 2, 0, 0), (1, 2, 0, 1), (0, 1, 2, 0)]
    drawn = [torch.rand(1, generator=generator(*key)).item() for key in keys]
    assert len(set(drawn)) == len(keys)
    assert torch.equal(
        torch.rand(4, generator=generator(7, 8)), torch.rand(4, generator=generator(7, 8))
    )
