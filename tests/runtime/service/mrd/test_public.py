"""A public client with a scanner's capture, and with a whole head, against the server as it is run.

Both belong to others and are never kept here: see docs/mrd.md for where they come from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def public():
    """The folder with `client.py`, its modules and `tse_i2i.h5`."""
    pytest.importorskip("ismrmrd", reason="the mrd extra is absent")
    folder = Path(os.environ.get("FMTOOL_MRD_PUBLIC", "absent"))
    if not (folder / "client.py").exists() or not (folder / "tse_i2i.h5").exists():
        pytest.skip("set FMTOOL_MRD_PUBLIC to a folder with client.py and tse_i2i.h5")
    return folder


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp("public")
    process = subprocess.Popen(
        [sys.executable, "-m", "fmtool", "serve", "mrd", "--listen", "127.0.0.1:0",
         "--budget", "500"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(folder), "TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        yield json.loads(process.stderr.readline())["port"]
    finally:
        process.kill()
        process.communicate()


def sent(public, port, source, folder, parameters=None):
    """What the client printed, and the series that it stored, by name."""
    import h5py

    if parameters is not None:
        (folder / "openrecon.json").write_text(json.dumps({"parameters": parameters}))
    words = [
        source,
        "-p",
        port,
        "-a",
        "127.0.0.1",
        "-o",
        "back.h5",
        "-G",
        "back",
        "-c",
        "openrecon",
    ]
    done = subprocess.run(
        [sys.executable, public / "client.py", *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    with h5py.File(folder / "back.h5") as file:
        held = file["back"]
        series = {n: held[n]["data"][:] for n in held if n.startswith("image_")}
    return done.stdout + done.stderr, series


def test_a_scanners_slice_goes_back_with_its_reason(public, port, tmp_path):
    import h5py

    said, series = sent(public, port, public / "tse_i2i.h5", tmp_path)
    assert "it has fewer than 16 slices" in said
    with h5py.File(public / "tse_i2i.h5") as file:
        assert (series["image_1"] == file["dataset/image_1/data"][:]).all()
    assert list(series) == ["image_1"]


def test_a_whole_head_is_answered(public, port, tmp_path):
    pydeface = pytest.importorskip("pydeface", reason="pydeface's whole-head average is absent")
    from runtime import scan
    from runtime.service.mrd.rehearsal import files, scanner

    head = scan.read(Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz")
    files.write(tmp_path / "head.h5", scanner.stream(head), scanner.header())
    on = {"mask": "true", "attribution": "true"}
    said, series = sent(public, port, tmp_path / "head.h5", tmp_path, on)
    assert "fmtool: age " in said
    assert list(series)[:3] == ["image_1", "image_2", "image_3"]
    assert series["image_3"].max() == 1
    assert len(series["image_3"]) == len(series["image_1"])
