"""Every verb where nothing is installed but what `fmtool[cpu]` brings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from typer.main import get_command

from fmtool.cli import app

pytestmark = pytest.mark.timeout(600)

HIDING = """
import sys
from importlib.machinery import PathFinder

HIDDEN = frozenset({hidden!r})


class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in HIDDEN:
            return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""
"""Runs at the start of every Python process, so that workers see no more than the command."""


def installed_by(extra):
    """The distributions that `fmtool[extra]` brings, by their normal names."""
    found, waiting = set(), [("fmtool", extra)]
    while waiting:
        name, wanted = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if (key, wanted) in found:
            continue
        found.add((key, wanted))
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform
            continue
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": wanted}):
                waiting += [(need.name, each) for each in ("", *need.extras)]
    return {key for key, _ in found}


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    """`edge("predict", ...)`: the finished process; never a traceback."""
    ours = installed_by("cpu")
    hidden = sorted(
        module
        for module, names in metadata.packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", name).lower() in ours for name in names)
    )
    top = tmp_path_factory.mktemp("edge")
    (top / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))

    def run(*words, code="from fmtool.cli import main; main()"):
        path = os.pathsep.join([str(top), os.getcwd(), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(top / "cache")},
        )

    return run


def test_what_is_hidden_is_hidden(edge):
    names = ["pydicom", "pynetdicom", "highdicom", "torch", "monai", "sklearn", "pandas", "onnx"]
    names += ["pyarrow", "ray", "fastapi", "uvicorn", "cryptography", "pylibjpeg", "safetensors"]
    code = (
        "import importlib.util as u, sys, openvino, onnxruntime\n"
        "print([n for n in sys.argv[1:] if u.find_spec(n)])"
    )
    assert edge(*names, code=code).stdout == "[]\n"


@pytest.fixture(scope="module")
def site(edge, tmp_path_factory, whole_head, prepared_head):
    """A folder of heads and of what is none, answered by `predict --out`."""
    top = tmp_path_factory.mktemp("site")
    scans = top / "scans"
    shutil.copytree(prepared_head, scans / "deep" / "prepared")
    (scans / "whole.nii.gz").symlink_to(whole_head)
    (scans / "broken.nii").write_bytes(b"no scan")
    (scans / "gone.nii.gz").symlink_to("nowhere")
    (scans / "study").mkdir()
    (scans / "study" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    (top / "cohort.csv").write_text("image_path,label\nscans/whole.nii.gz,30\n")
    (top / "empty").mkdir()
    return top, edge("predict", scans, "--out", top / "results", "--report", top / "pages")


def test_a_folder_of_nifti_is_answered(site):
    top, done = site
    assert done.returncode == 1, done.stderr  # what cannot be read fails, and costs no other scan
    assert "2 done, 3 failed, 0 left" in done.stderr
    lines = (top / "results" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    told = {
        line["scan"].removeprefix(f"{top}/scans/"): line.get("error") or "done"
        for line in map(json.loads, lines)
    }
    assert told["whole.nii.gz"] == told["deep/prepared"] == "done"
    assert "needs pydicom" in told["study"]
    assert "a link to nowhere" in told["gone.nii.gz"]
    assert (top / "pages" / "index.html").exists()


TRAINING = (3, "fmtool[train]")
VERBS = {
    "predict": ("{top}/scans/deep/prepared --json", 0, "brain_volume_ml"),
    "preprocess": ("{top}/scans/whole.nii.gz -o {top}/prepared", 0, "normalized.nii.gz"),
    "export": ("{top}/encoder -o {top}/b.fmtool", 3, "fmtool[train]"),
    "bench": ("--engine onnxruntime --precision float32 --repeats 1 --batch 1", 0, "onnxruntime"),
    "calibrate": ("{top}/cohort.csv --task age -o {top}/s.fmtool", 3, "fmtool[site]"),
    "watch": ("{top}/empty --out {top}/outbox --once", 0, '"event": "ended"'),
    "status": ("--out {top}/results", 0, "broken.nii"),
    "doctor": ("", 0, "openvino"),
    "train prepare": ("{top}/cohort.csv", *TRAINING),
    "train split": ("{top}/cohort.csv --task age -o {top}/split.json", *TRAINING),
    "train compare": ("{top}/cohort.csv {top}/cohort.csv --group g", 1, "no column"),
    "train simclr": ("{top}/cohort.csv -o {top}/o", *TRAINING),
    "train mae": ("{top}/cohort.csv -o {top}/o", *TRAINING),
    "train supervised": ("{top}/cohort.csv --task age -o {top}/o", *TRAINING),
    "train finetune": ("{top}/cohort.csv --task age --encoder {top}/e -o {top}/o", *TRAINING),
    "train probe": ("{top}/cohort.csv --task age -o {top}/o", 3, "fmtool[site]"),
    "train import": ("{top}/checkpoint.pt -o {top}/o", *TRAINING),
    "train synth": ("{top}/o --subjects 2 --seed 1", *TRAINING),
    "bids": ("{top}/scans {top}/derived participant", 1, "is no BIDS data set"),
    "init": ("{top}/cohort.csv --project {top}", *TRAINING),
    "bundle show": ("", 0, "deepbet"),
    "bundle verify": ("", 0, "self-test passed"),
    "bundle robustness": ("{top}/absent.json --bundle {top}/empty", 1, "not a bundle"),
    "bundle keygen": ("{top}/key", 3, "fmtool[sign]"),
    "bundle sign": ("{top}/empty --key {top}/absent", 1, "cannot be read"),
    "engines list": ("", 0, "no engines"),
    "engines build": ("", 3, "pip install"),
    "engines prune": ("", 0, "freed"),
    "results": ("{top}/results", 0, "age_predicted"),
    "ledger show": ("{top}/results", 0, "2 done, 3 failed"),
    "ledger export": ("{top}/results {top}/elsewhere", 0, "results.csv"),
    "ledger vacuum": ("{top}/results", 0, "freed"),
    "ledger retry": ("{top}/results", 0, "3 items wait again"),
    "serve dicom": ("--inbox {top}/empty --allow SCANNER@127.0.0.1", 3, "fmtool[dicom]"),
    "serve http": ("--spool {top}/empty", 3, "fmtool[http]"),
    "serve mrd": ("--listen nowhere", 2, "such as 127.0.0.1:9002"),
    "serve openrecon": ("{top}/openrecon", 0, "Manual.pdf"),
    "serve rehearse": ("{top}/scans/whole.nii.gz {top}/back", 3, "fmtool[dicom]"),
}


def verbs(command, path=()):
    for name, one in getattr(command, "commands", {}).items():
        yield from (
            verbs(one, (*path, name)) if hasattr(one, "commands") else [" ".join((*path, name))]
        )


HEAVY = ("bench", "watch", "preprocess", "bundle verify")


def test_no_verb_is_forgotten():
    assert sorted(verbs(get_command(app))) == sorted(VERBS)


def test_a_head_on_a_checkpoint_needs_torch(edge, site):
    done = edge(*f"train probe {site[0]}/cohort.csv --task age -e {site[0]}/e -o o".split())
    assert (done.returncode, "fmtool[train]" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    "verb",
    [pytest.param(v, marks=pytest.mark.slow) if v in HEAVY else v for v in VERBS],
)
def test_a_verb_does_its_work_or_names_what_it_lacks(edge, site, verb):
    words, code, said = VERBS[verb]
    done = edge(*verb.split(), *words.format(top=site[0]).split())
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
