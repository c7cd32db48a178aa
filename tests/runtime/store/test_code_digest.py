"""The code's digest follows every file that decides a prepared volume or what is measured of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import fmtool
import runtime
import training
from runtime.store import code_digest

PACKAGES = (fmtool, runtime, training)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """A copy of the packages' code that may be changed."""
    folder = tmp_path_factory.mktemp("code")
    for package in PACKAGES:
        for file in Path(package.__path__[0]).rglob("*.py"):
            target = folder / package.__name__ / file.relative_to(package.__path__[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return {package.__name__: folder / package.__name__ for package in PACKAGES}


def test_what_decides_is_in_it_and_what_does_not_is_not(roots):
    found = code_digest.sources(roots)
    assert found.keys() >= {
        "fmtool.space",
        "runtime.grid",
        "runtime.preprocess.bias",
        "runtime.preprocess.pipeline",
        "runtime.preprocess.register",
        "runtime.preprocess.strip",
        "runtime.quality",
        "runtime.scan.dicom",
        "runtime.scan.header",
        "runtime.scan.stream",
        "runtime.engines.onnxruntime",
        "runtime.engines.openvino",
    }
    further = code_digest.sources(roots, "training.store.turboprep")
    assert further.keys() - found.keys() >= {"training.store.turboprep"}
    others = ("fmtool.cli", "runtime.service", "runtime.ledger", "training.cohort", "training.fit")
    others += ("runtime.predict", "runtime.result", "training.supervised")  # the faces name them
    named = {"runtime.ledger.content"}  # makes the scan's digest, which is kept with the volume
    assert not [name for name in found.keys() - named if name.startswith(others)]
    assert code_digest.digest(roots) == code_digest.installed()


@pytest.mark.parametrize(
    "touched",
    [
        "fmtool/space.py",
        "runtime/grid.py",
        "runtime/scan/header.py",
        "runtime/scan/stream.py",
        "runtime/scan/frame.py",
        "runtime/scan/dicom/frame.py",
        "runtime/quality/check.py",
        "runtime/quality/outliers.py",
        "runtime/preprocess/bias/__init__.py",
        "runtime/preprocess/register/__init__.py",
        "runtime/engines/openvino/__init__.py",
        "runtime/engines/onnxruntime/__init__.py",
        "runtime/store/scan.py",
    ],
)
def test_one_constant_anywhere_is_other_code(roots, touched):
    package, _, rest = touched.partition("/")
    file = roots[package] / rest
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n_TOUCHED = 1\n", encoding="utf-8")
    after = code_digest.digest(roots)
    file.write_text(text, encoding="utf-8")
    assert after != code_digest.installed()  # the copy's was the same: names and contents make it


def test_a_further_module_that_one_of_them_imports_is_other_code(roots):
    before = code_digest.installed()
    (roots["fmtool"] / "further.py").write_text("CONSTANT = 1\n", encoding="utf-8")
    file = roots["runtime"] / "scan" / "header.py"
    file.write_text(
        file.read_text(encoding="utf-8") + "\n\ndef f():\n    from fmtool import further\n"
    )
    using = code_digest.digest(roots)
    (roots["fmtool"] / "further.py").write_text("CONSTANT = 2\n", encoding="utf-8")
    assert len({before, using, code_digest.digest(roots)}) == 3
