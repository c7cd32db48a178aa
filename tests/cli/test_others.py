"""`fmtool doctor`, `fmtool bundle`, `fmtool --help`."""

from __future__ import annotations

import json

from fmtool import __version__, bundle
from runtime.engines import table


def test_doctor_names_every_backend_with_a_version_or_a_reason(fmtool):
    done = fmtool("doctor", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    names = [b["name"] for b in facts["backends"]]
    assert set(names) == {*table.NAMES, "onnxruntime cuda"}
    assert [b["library"] for b in facts["builds"]] == ["rtx", "tensorrt"]
    for build in facts["builds"]:
        assert build["targets"] or build["reason"]
    assert facts["gpus"] or "NVIDIA" in facts["no_gpu"]
    for backend in facts["backends"]:
        assert backend["version"] if backend["available"] else backend["reason"]
    assert facts["choice"]["engine"] in ("openvino", "onnxruntime")


def test_doctor_for_people(fmtool):
    done = fmtool("doctor")
    assert done.returncode == 0
    assert "auto takes" in done.stdout
    reasons = [b["reason"] for b in json.loads(fmtool("doctor", "--json").stdout)["backends"]]
    if any("[gpu]" in reason for reason in reasons):
        assert "[gpu]" in done.stdout  # an extra's brackets are no markup


def test_bundle_show_prints_the_card(fmtool):
    done = fmtool("bundle", "show")
    assert done.returncode == 0
    assert "demonstration" in done.stdout
    written = bundle.open().path / bundle.MANIFEST
    assert json.loads(fmtool("bundle", "show", "--json").stdout) == json.loads(written.read_bytes())


def test_bundle_verify_runs_the_self_test(fmtool):
    done = fmtool("bundle", "verify")
    assert done.returncode == 0, done.stderr
    assert "self-test passed on" in done.stdout


def test_version_and_help(fmtool):
    assert fmtool("--version").stdout.strip() == __version__
    words = fmtool("--help").stdout
    for verb in ("predict", "preprocess", "train", "export", "doctor", "bundle"):
        assert verb in words
