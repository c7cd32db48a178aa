"""`fmtool serve mrd`, `rehearse` and `openrecon`, as a site runs them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["mrd", "--listen", "9002"], 2, "--listen is an address and a port"),
        (["mrd", "--bundle", "absent.fmtool"], 1, "absent.fmtool"),
        (["mrd", "--listen", "203.0.113.7:9002"], 2, "--any-client"),
        (
            ["mrd", "--listen", "203.0.113.7:9002", "--any-client"],
            1,
            "cannot listen on 203.0.113.7",
        ),
        (["rehearse", "absent.nii", "out"], 1, "absent.nii"),
        (["rehearse", "absent.nii", "out", "--on", "colour"], 2, "no parameter 'colour'"),
        (["openrecon", "out", "--image", "absent.tar"], 1, "docker save"),
    ],
)
def test_a_mistake_is_one_sentence(fmtool, tmp_path, words, code, said):
    done = fmtool("serve", *words, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (code, 1)
    assert said in done.stderr


def test_a_port_that_is_taken_is_said(fmtool):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fmtool("serve", "mrd", "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server with the demonstration bundle: its process, its address."""
    folder = tmp_path_factory.mktemp("mrd")
    process = subprocess.Popen(
        [sys.executable, "-m", "fmtool", "serve", "mrd", "--listen", "127.0.0.1:0",
         "--budget", "500"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        line = json.loads(process.stderr.readline())
        assert line["event"] == "listening"
        yield process, f"127.0.0.1:{line['port']}", folder
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_head_is_rehearsed_and_the_server_ends_as_it_is_told(
    running, fmtool, whole_head, tmp_path
):
    process, address, folder = running
    out = tmp_path / "back"
    words = ["--to", address, "--on", "mask", "--on", "attribution"]
    done = fmtool("serve", "rehearse", whole_head, out, *words)
    assert done.returncode == 0, done.stderr
    assert "age " in done.stdout
    texts = (out / "texts.txt").read_text()
    assert "not a medical device" in texts
    series = sorted(path.name for path in out.glob("series-*"))
    assert series[:3] == ["series-1", "series-2", "series-3"]

    direct = fmtool("predict", whole_head, "--json")
    (answer,) = (
        json.loads(direct.stdout) if direct.stdout.startswith("[") else [json.loads(direct.stdout)]
    )
    assert f"age {answer['values']['age']['value']:.1f} years" in texts

    again = fmtool("predict", out / "series-1", "--json")
    (read,) = (
        json.loads(again.stdout) if again.stdout.startswith("[") else [json.loads(again.stdout)]
    )
    assert abs(read["values"]["age"]["value"] - answer["values"]["age"]["value"]) < 0.5

    slab = nib.Nifti1Image(np.ones((64, 64, 20), np.float32), np.eye(4))
    slab.dataobj[8:56, 8:56, :] *= 9
    nib.save(slab, tmp_path / "slab.nii")
    refused = fmtool("serve", "rehearse", tmp_path / "slab.nii", tmp_path / "slab", "--to", address)
    assert refused.returncode == 0
    assert "WRN fmtool: " in refused.stdout
    assert len(list((tmp_path / "slab").rglob("*.dcm"))) == 64

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert list(folder.glob("fmtool-mrd-*")) == []
