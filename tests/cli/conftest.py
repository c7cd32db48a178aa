"""Running the command line as a user does: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle, space


@pytest.fixture(scope="session")
def fmtool(tmp_path_factory):
    """`fmtool("predict", ...)`: the finished process, its output as text; never a traceback."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "fmtool", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=cwd,
            check=False,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def prepared_head(tmp_path_factory):
    """The bundle's template as TurboPrep would have left it: a head that every clone has."""
    folder = tmp_path_factory.mktemp("template")
    template = nib.load(bundle.DEMO / "template.nii.gz")
    voxels = np.asarray(template.dataobj)
    for name, array in (("normalized", voxels.astype(np.float32)), ("mask", voxels > 0)):
        image = nib.Nifti1Image(array.astype(np.float32), space.grid_affine())
        nib.save(image, folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def serving(tmp_path):
    """`with serving(words...) as (process, client)`: `fmtool serve http`, and a client of it."""
    httpx = pytest.importorskip("httpx", reason="httpx is absent")

    @contextmanager
    def serve(*words):
        token = tmp_path / "token"
        token.touch(mode=0o600)
        token.write_text("t" * 32)
        words = ["--port", "0", "--token-file", token, "--spool", tmp_path / "spool", *words]
        process = subprocess.Popen(
            [sys.executable, "-m", "fmtool", "serve", "http", *map(str, words)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        try:
            line = json.loads(process.stderr.readline())
            assert line["event"] == "listening"
            with httpx.Client(
                base_url=f"http://127.0.0.1:{line['port']}",
                headers={"Authorization": f"Bearer {'t' * 32}"},
                timeout=60,
                trust_env=False,
            ) as client:
                yield process, client
        finally:
            process.kill()
            process.communicate()

    return serve


@pytest.fixture(scope="session")
def settled():
    """`settled(client, path)`: a job of the service once it is neither queued nor running."""

    def wait(client, path, seconds=300.0):
        end = time.monotonic() + seconds
        while (job := client.get(path).json())["state"] in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.05)
        return job

    return wait


@pytest.fixture(scope="session")
def whole_head():
    """A whole head that a package carries: the average of many, with skull, skin and neck."""
    pydeface = pytest.importorskip("pydeface", reason="pydeface's whole-head average is absent")
    return Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz"
