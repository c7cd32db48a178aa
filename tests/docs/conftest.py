"""What the pages' commands find in their folder: a head, a folder of heads, a DICOM study."""

from __future__ import annotations

import importlib.util
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle, space

ROOT = Path(__file__).parents[2]
_MAKER = ROOT / "tests" / "runtime" / "scan" / "dicom" / "conftest.py"


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder for PATH: this interpreter, this fmtool, and a `pip` that checks what is asked."""
    folder = tmp_path_factory.mktemp("bin")
    python = f'exec "{sys.executable}" "$@"'
    for name, body in {
        "python": python,
        "python3": python,
        "fmtool": python.replace('"$@"', '-m fmtool "$@"'),
        "pip": python.replace('"$@"', f'"{Path(__file__).with_name("extras.py")}" "$@"'),
    }.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture(scope="session")
def head():
    """A whole head that a package carries: the average of many."""
    pydeface = pytest.importorskip("pydeface", reason="pydeface's whole-head average is absent")
    return Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz"


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The demonstration bundle's template, a stripped head, in DICOM: a folder STUDY of one series,
    a zip of it, and the same as one object."""
    pytest.importorskip("pydicom")
    spec = importlib.util.spec_from_file_location("docs_dicom_maker", _MAKER)
    maker = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = maker  # dataclasses look their module up
    spec.loader.exec_module(maker)
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj)
    voxels = (template * (3000.0 / template.max())).astype(np.int16)
    corner = space.grid_affine()[:3, 3] + np.array(voxels.shape) - 1
    folder = tmp_path_factory.mktemp("dicom")
    place = (1.0, 1.0, 1.0), (-corner[0], -corner[1], space.GRID_ORIGIN[2])
    maker.Maker(folder / "STUDY", *place).slices(voxels[::-1, ::-1], SeriesNumber=5)
    maker.Maker(folder, *place).enhanced(voxels[::-1, ::-1])
    shutil.make_archive(str(folder / "study"), "zip", folder / "STUDY")
    del sys.modules[spec.name]
    return folder


@pytest.fixture
def furnished(request, tmp_path, head):
    """`furnished(text)`: a folder with what a page of this text names."""

    def make(text: str) -> Path:
        shutil.copy(head, tmp_path / "head.nii.gz")
        if "FOLDER" in text:
            (tmp_path / "FOLDER").mkdir()
            shutil.copy(head, tmp_path / "FOLDER" / "head.nii.gz")
        if "STUDY" in text:
            shutil.copytree(request.getfixturevalue("study"), tmp_path, dirs_exist_ok=True)
        return tmp_path

    return make


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    pytest.importorskip("material", reason="mkdocs-material is absent; install fmtool[docs]")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder
