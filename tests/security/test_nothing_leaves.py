"""No verb reports to anybody, leaves anything at home but fmtool's caches, or needs a home at all.

Each runs in a process without CI's variables and with a HOME of its own. Python's socket calls are
recorded in it and in every process that it starts; where namespaces are to be had it has a network
of its own without any interface, whose counters tell what compiled libraries try as well.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from documentation.verbs import walk
from fmtool import bundle, space

ROOT = Path(__file__).parents[2]

RECORD = """
import os, socket, sys
CALLS = {"connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr"}
def record(event, args):
    name = event.removeprefix("socket.")
    if event == name or not (name in CALLS or (name == "__new__" and args[1] == socket.AF_INET)):
        return
    if name in ("connect", "bind") and args[0].family == socket.AF_UNIX:
        return
    if name == "bind" and args[1] == ("::1", 0):  # urllib3 asks so whether there is IPv6
        return
    with open(os.environ["RECORDED"], "a") as file:
        file.write(f"{name} {args[1:] if name in ('__new__', 'connect', 'bind') else args}\\n")
sys.addaudithook(record)
"""

COUNTED = 'cat /proc/net/snmp* >"$0.before"; "$@"; c=$?; cat /proc/net/snmp* >"$0.after"; exit $c'
NOBODY = ("unshare", "-U", "--map-user=12345", "--map-group=12345")

EDGE = {
    "doctor": "--json",
    "predict": "template --json",
    "preprocess": "template/normalized.nii.gz -o prepared",
    "bench": "--repeats 1 --batch 1 --engine onnxruntime --plot bench.png",
    "watch": "inbox --out outbox --once --settle 0",
    "status": "--out outbox",
    "results": "outbox",
    "ledger show": "outbox",
    "ledger export": "outbox merged",
    "ledger retry": "outbox",
    "ledger vacuum": "outbox",
    "engines list": "",
    "engines build": "",
    "engines prune": "",
    "bundle show": "",
    "bundle verify": "",
    "bundle keygen": "key",
    "bundle sign": "mine.fmtool --key key",
    "bundle robustness": "mine.fmtool/robustness.json --bundle mine.fmtool",
    "serve openrecon": "openrecon",
    "bids": "bids derived participant",
}
TINY = "--epochs 1 --batch 4 --cache cache --device cpu"
TRAINING = {
    "train": "--project nowhere",  # what it does, the verbs below do
    "train synth": "heads -n 20 --seed 1 --prepared",
    "train prepare": "heads/cohort.csv --cache cache -j 2",
    "train split": "heads/cohort.csv --task age -o split.json --fractions 0.3,0.1,0.6",
    "train simclr": f"heads/cohort.csv -o run {TINY} --width 0.03125 --view 16 16 16 "
    "--min-crop 60 80 80",
    "train mae": f"heads/cohort.csv -o mae {TINY} --architecture vit_tiny --input 45 64 64",
    "train supervised": f"heads/cohort.csv --task age --split split.json -o supervised {TINY} "
    "--width 0.03125 --input 40 48 48",
    "train finetune": f"heads/cohort.csv --task age --split split.json -o tuned {TINY} "
    "--encoder run/encoder --input 40 48 48",
    "init": "heads/cohort.csv",
    "calibrate": "heads/cohort.csv --task age -o own.fmtool --cache cache",
    "train probe": "heads/cohort.csv --task age --encoder run/encoder -o age.json --cache cache",
    "train compare": "age.out-of-fold.csv heads/cohort.csv --group nothing",
    "train import": "run/encoder -o imported",
    "export": "run/encoder --head age.json -o made.fmtool",
}
SERVICES = {
    "serve http": "--spool spool --port 0",
    "serve dicom": "--inbox received --allow SCANNER --port 0",
    "serve mrd": "--listen 127.0.0.1:0",
}
SENDS = {"serve rehearse"}  # to the server that it is told
REFUSED = {
    "train": 1,
    "train compare": 1,  # has no such group
    "engines build": 3,  # needs a GPU's library
    "bundle robustness": 1,  # the summary that a bundle carries is of the bundle before it had it
}


def possible(*words: str) -> bool:
    """Whether the system lets this user do so."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0


class Site:
    """A folder with what the verbs read, and an environment of almost nothing.

    Args:
        folder: to work in.
        home: what HOME says; None if nothing does.
        within: what the command is run by.
    """

    def __init__(self, folder: Path, home: Path | None, within: tuple[str, ...] = ()) -> None:
        self.folder, self.within = folder, within
        self.recorded = folder / "recorded"
        audit, self.work, temporary = (folder / name for name in ("audit", "work", "tmp"))
        for made in (audit, self.work, temporary):
            made.mkdir()
        (audit / "sitecustomize.py").write_text(RECORD)
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{audit}{os.pathsep}{ROOT}",
            "RECORDED": str(self.recorded),
            "TMPDIR": str(temporary),
        }
        if home is not None:
            self.environment["HOME"] = str(home)
        template = nib.load(bundle.DEMO / "template.nii.gz")
        voxels = np.asarray(template.dataobj)
        for name, array in (("template/normalized", voxels), ("template/mask", voxels > 0)):
            image = nib.Nifti1Image(array.astype(np.float32), space.grid_affine())
            (self.work / name).parent.mkdir(exist_ok=True)
            nib.save(image, self.work / f"{name}.nii.gz")
        (self.work / "inbox").mkdir()
        shutil.copy(self.work / "template" / "normalized.nii.gz", self.work / "inbox")
        shutil.copytree(bundle.DEMO, self.work / "mine.fmtool")
        data_set = self.work / "bids" / "sub-01" / "anat"
        data_set.mkdir(parents=True)
        shutil.copy(self.work / "template" / "normalized.nii.gz", data_set / "sub-01_T1w.nii.gz")
        about = {"Name": "template", "BIDSVersion": "1.10.0"}
        (self.work / "bids" / "dataset_description.json").write_text(json.dumps(about))

    def run(self, verb: str, words: str) -> None:
        """Run it to its end, and hold it to what this file says."""
        command = [*self.within, sys.executable, "-m", "fmtool", *verb.split(), *words.split()]
        counts = self.folder / "counts"
        if possible("unshare", "-rn") and "-U" not in self.within:
            command = ["unshare", "-rn", "sh", "-c", COUNTED, str(counts), *command]
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, f"{verb}: {done.stderr}"
        assert done.returncode in (0, REFUSED.get(verb)), f"{verb}: {done.stderr}"
        assert not self.recorded.exists(), f"{verb}: {self.recorded.read_text()}"
        if counts.with_suffix(".before").exists():
            before, after = (counts.with_suffix(f".{when}") for when in ("before", "after"))
            assert after.read_text() == before.read_text(), verb


def left(home: Path) -> list[str]:
    """The files in a home that are none of fmtool's caches."""
    caches = home / ".cache" / "fmtool"
    return [str(f) for f in home.rglob("*") if f.is_file() and not f.is_relative_to(caches)]


def needs(*modules: str) -> None:
    for module in modules:
        pytest.importorskip(module)


@pytest.fixture
def site(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    yield Site(tmp_path, home)
    assert left(home) == []


@pytest.fixture(params=["no HOME", "a HOME that is not there", "a HOME of another's"])
def homeless(request, tmp_path):
    """A user id of no account, and no place to call home."""
    if not possible(*NOBODY):
        pytest.skip("this system lets nobody take another user id by unshare(1)")
    if sys.platform != "linux" or request.param != "no HOME":
        (tmp_path / "locked").mkdir(mode=0o500)
    homes = {"a HOME that is not there": "locked/nobody", "a HOME of another's": "locked"}
    home = tmp_path / homes[request.param] if request.param in homes else None
    made = Site(tmp_path, home, NOBODY)
    yield made
    assert list(made.work.glob("~*")) == []  # what an unknown home comes to, taken for a folder


def test_every_verb_is_tried():
    assert {verb for verb, _ in walk()} == {*EDGE, *TRAINING, *SERVICES, *SENDS}


@pytest.mark.parametrize("verb", ["doctor", "predict"])
def test_a_verb_tells_nobody(site, verb):
    site.run(verb, EDGE[verb])


@pytest.mark.parametrize("verb", ["doctor", "predict"])
def test_a_verb_needs_no_home(homeless, verb):
    homeless.run(verb, EDGE[verb])


@pytest.mark.slow
def test_no_verb_of_the_edge_tells_anybody(site):
    for verb, words in EDGE.items():
        site.run(verb, words)


@pytest.mark.slow
def test_no_verb_of_the_edge_needs_a_home(homeless):
    for verb, words in EDGE.items():
        homeless.run(verb, words)


@pytest.mark.slow
def test_no_training_tells_anybody(site):
    needs("torch", "monai", "lightning", "onnx")
    for verb, words in TRAINING.items():
        site.run(verb, words)


@pytest.mark.slow
def test_no_training_needs_a_home(homeless):
    needs("torch", "monai", "lightning", "onnx")
    for verb, words in TRAINING.items():
        homeless.run(verb, words)


@pytest.mark.slow
@pytest.mark.parametrize("verb", SERVICES)
@pytest.mark.parametrize("place", ["site", "homeless"])
def test_a_service_opens_its_port_and_nothing_else(request, place, verb, tmp_path):
    needs({"serve dicom": "pynetdicom", "serve http": "fastapi"}.get(verb, "numpy"))
    where = request.getfixturevalue(place) if place == "site" else None
    if where is None:
        if not possible(*NOBODY):
            pytest.skip("this system lets nobody take another user id by unshare(1)")
        where = Site(tmp_path, None, NOBODY)
    words = [*where.within, sys.executable, "-m", "fmtool", *verb.split(), *SERVICES[verb].split()]
    process = subprocess.Popen(
        words, cwd=where.work, env=where.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert json.loads(process.stderr.readline())["event"] == "listening"
        time.sleep(2)  # what it does once it is up
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
    for line in where.recorded.read_text().splitlines():
        assert "'127.0.0.1'" in line or line.startswith("__new__"), line


PACKAGES = ("fmtool", "runtime", "training", "export", "benchmarks", "documentation")


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_silences_the_libraries_before_it_loads_one(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not there")
    code = (
        f"import os, sys, {package}\n"
        "assert 'onnxruntime' not in sys.modules and 'openvino' not in sys.modules\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['RAY_USAGE_STATS_ENABLED'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["1", "0"]
