"""Every entry takes or refuses its seeds, and refuses damage in one sentence: a few trials each."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("pynetdicom", reason="the dicom extra is absent")
pytest.importorskip("python_multipart", reason="the http extra is absent")
hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from benchmarks.fuzz.entry import NAMES, attempt, load  # noqa: E402
from benchmarks.fuzz.mutate import mutate  # noqa: E402

FEW = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ON_A_WIRE = ("node_wire",)  # a connection takes seconds to be given up


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ON_A_WIRE])
def test_seeds_and_damage(name, tmp_path):
    entry = load(name)
    seeds = entry.seeds()
    assert seeds
    for seed in seeds:
        finding = attempt(entry, seed, tmp_path / "trial")
        assert finding is None, finding.told

    @FEW
    @given(st.integers(0, 2**32))
    def damaged(number):
        rng = random.Random(number)
        data = mutate(rng, rng.choice(seeds), entry, seeds)
        finding = attempt(entry, data, tmp_path / "trial")
        assert finding is None, f"{data!r:.200}\n{finding.told}"

    damaged()


@pytest.mark.slow
def test_a_node_survives_its_peers(tmp_path):
    entry = load("node_wire")
    for seed in entry.seeds():
        finding = attempt(entry, seed, tmp_path / "trial")
        assert finding is None, finding.told
