"""One real head, as it is and spoiled: what the checks of the shipped bundle say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.shared.spoiled.field import turned
from benchmarks.shared.spoiled.kinds import SCANS
from fmtool import bundle as bundles
from runtime import quality, scan
from runtime.preprocess.pipeline import Preprocessor

pytestmark = [pytest.mark.data, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ask(data_dir):
    """A head and its brain, and the checks of a scan made from it, by name."""
    with bundles.open() as bundle, Preprocessor(bundle) as stages:
        head = scan.read(data_dir / "ixi2mm" / "IXI014-HH-1236-T1_ds.nii.gz")
        brain = stages.run(head).brain

        def checks(changed):
            facts = stages.run(changed).facts
            found = quality.checks(changed.facts, facts, bundle.manifest.calibration)
            return {check.name: check.verdict for check in found}

        yield head, brain, checks


def test_a_good_head_passes(ask):
    head, _, checks = ask
    assert set(checks(head).values()) == {"ok"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("cut field of view", "Field of view"), ("noise", "Noise"), ("blur", "Sharpness")],
)
def test_a_spoiled_head_is_noticed_by_the_check_made_for_it(ask, kind, name):
    head, brain, checks = ask
    assert checks(SCANS[kind](head, brain, np.random.default_rng(0)))[name] != "ok"


@pytest.mark.slow
def test_wrong_axes_are_refused(ask):
    head, _, checks = ask
    assert "refuse" in checks(turned(head, ((1, 0, 2), (1, -1, 1)))).values()
