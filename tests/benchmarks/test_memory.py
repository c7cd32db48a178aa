"""Fake bytes against real ones: the same count on real tensors, and the CPU's own allocator."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import memory
from benchmarks.memory import Case, Live


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fake_tensors_count_as_real_ones(precision: str, recompute: bool) -> None:
    case = Case(2, precision, recompute, (48, 48, 48), 1 / 16)  # type: ignore[arg-type]
    assert memory.count(case) == memory.count(case, fake=False)


@pytest.mark.parametrize("recompute", [False, True])
def test_what_is_kept_for_the_backward_pass_is_what_the_allocator_holds(recompute: bool) -> None:
    case = Case(2, "float32", recompute, (32, 48, 48), 1 / 16)
    step = memory.Step(case)
    step.update()
    step.solver.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        loss = step.forward()
    held = sum(e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]")
    assert loss.requires_grad
    assert memory.count(case).kept == pytest.approx(held, rel=0.01)


def test_live_storages_are_counted_once_and_until_they_go() -> None:
    with Live() as live:
        first = torch.zeros(100)
        view = first[:50].reshape(5, 10)
        view += 1
        assert live.now == 400
        second = first + 1
        assert live.now == 800
        del second
        assert (live.now, live.peak) == (400, 800)
        del first
        assert live.now == 400  # the view holds it
        del view
        assert live.now == 0


def test_recomputation_keeps_less_and_the_rest_grows_with_the_batch() -> None:
    kept = Case(4, "float32", False, (32, 48, 48), 1 / 16)
    again = replace(kept, recompute=True)
    assert memory.count(again).kept < memory.count(kept).kept / 4
    assert memory.count(again).peak < memory.count(kept).peak
    twice = replace(kept, pairs=8)
    assert memory.count(twice).kept == pytest.approx(2 * memory.count(kept).kept, rel=0.01)


def test_the_most_pairs_that_fit() -> None:
    case = Case(2, "float32", False, (32, 48, 48), 1 / 16)

    def fits(pairs: int, gib: float) -> bool:
        return memory.count(replace(case, pairs=pairs)).peak <= gib * memory.GIB * 0.9

    for pairs in (2, 5, 8):
        gib = memory.count(replace(case, pairs=pairs)).peak / memory.GIB / 0.9 * 1.001
        assert memory.largest(case, gib) == pairs
        assert fits(pairs, gib)
        assert not fits(pairs + 1, gib)
    assert memory.largest(case, 1e-3) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("recompute", [False, True])
def test_the_device_needs_what_was_counted_and_its_workspaces(recompute: bool) -> None:
    case = Case(2, "bfloat16", recompute, (96, 96, 96))
    found = memory.measured(case)
    assert found is not None
    assert 0.9 * memory.count(case).peak <= found <= memory.count(case).peak * 1.5 + 512e6
