from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("share.py")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "fabric"])
def test_two_processes_compute_what_one_does(tmp_path: Path, launcher: str) -> None:
    """Loss, gradients and weights of three steps: two processes of two scans, and one of four."""
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder in (alone, shared):
        folder.mkdir()
    run = [sys.executable, str(SCRIPT)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    two = [*torchrun, "--standalone", str(SCRIPT)]
    for command in (
        [*run, "4", "1", str(alone)],
        [*(two if launcher == "torchrun" else run), "2", "2", str(shared)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
    expected = torch.load(alone / "rank0.pt", weights_only=True)
    for rank in (0, 1):
        found = torch.load(shared / f"rank{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)
    assert (expected["gradient encoder.1.weight"].abs().max()) > 1e-3
