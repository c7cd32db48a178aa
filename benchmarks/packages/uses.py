"""What each extra is for, done once with what the wheel brings and no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.packages import made_series, post
from benchmarks.packages.environment import Environment, Failed
from runtime.engines.table import ROWS

Use = Callable[[Environment], None]


def predict(here: Environment) -> None:
    """The wheel's scan, by both spellings of the command; help, doctor, bench, completion."""
    here.run("fmtool", "predict", "--help")
    here.run("fmtool", "doctor")
    _answers(here.run("fmtool", "predict", template(here), "--json"))
    scan = here.run("python", "-m", "fmtool", "predict", template(here), "--engine", "onnxruntime")
    if "age" not in scan:
        raise Failed(f"no age in the table of `python -m fmtool predict`:\n{scan}")
    here.run("fmtool", "bundle", "verify")
    here.run("fmtool", "bench", "--repeats", "2", "--batch", "1", "--engine", "onnxruntime")
    completion(here)


def predict_with(engine: str) -> Use:
    """The wheel's scan with an engine for the CPU that has an extra of its own."""

    def use(here: Environment) -> None:
        _answers(here.run("fmtool", "predict", template(here), "--engine", engine, "--json"))

    return use


def completion(here: Environment) -> None:
    """`fmtool --install-completion`, and what the shell would ask then."""
    here.run("bash", "-c", "fmtool --install-completion; exit $?")
    if not list((here.work / ".bash_completions").glob("fmtool*")):
        raise Failed("fmtool --install-completion wrote nothing for bash")
    asked = {"_FMTOOL_COMPLETE": "complete_bash", "COMP_WORDS": "fmtool pre", "COMP_CWORD": "1"}
    found = here.run("fmtool", more=asked).split()
    if found != ["predict", "preprocess"]:
        raise Failed(f"completing `fmtool pre` gives {found}")


def dicom(here: Environment) -> None:
    """A DICOM series to an answer, and the node answers an echo."""
    here.run("python", made_series.__file__, template(here), here.work / "series")
    _answers(here.run("fmtool", "predict", here.work / "series", "--json"))
    here.run("python", post.__file__, "dicom")


def http(here: Environment) -> None:
    """A scan by POST, its answer by GET."""
    here.run("python", post.__file__, "http", template(here))


def mrd(here: Environment) -> None:
    """A scan as an MRD file that reads back as the same scan."""
    asked = (
        "import sys; from pathlib import Path; from runtime import scan; "
        "from runtime.service.mrd import volume; "
        "from runtime.service.mrd.rehearsal import files, scanner; "
        "head, file = scan.read(sys.argv[1]), Path(sys.argv[2]); "
        "files.write(file, scanner.stream(head), scanner.header()); "
        "print((volume.read(files.read(file)).scan.array == head.array).all())"
    )
    if here.run("python", "-c", asked, template(here), here.work / "sent.h5").strip() != "True":
        raise Failed("an MRD file does not read back as the scan that it was made of")


_CONTROLS = """
import sys
from pathlib import Path
import nibabel as nib, numpy as np
source, folder = map(Path, sys.argv[1:])
image = nib.load(source)
voxels = np.asarray(image.dataobj, np.float32)
nib.save(nib.Nifti1Image((voxels > 0).astype(np.uint8), image.affine), folder / "mask.nii.gz")
random, lines = np.random.default_rng(0), ["image_path,mask_path,age,subject"]
for i in range(10):
    noisy = voxels * random.normal(1.0, 0.02 + 0.01 * i, voxels.shape).astype(np.float32)
    nib.save(nib.Nifti1Image(noisy, image.affine), folder / f"{i}.nii.gz")
    lines.append(f"{i}.nii.gz,mask.nii.gz,{30 + i},{i}")
(folder / "controls.csv").write_text("\\n".join(lines))
"""


def site(here: Environment) -> None:
    """A child bundle, calibrated with ten noisy copies of one head, that passes its self-test."""
    here.run("python", "-c", _CONTROLS, template(here), here.work)
    child = here.work / "child.fmtool"
    here.run("fmtool", "calibrate", here.work / "controls.csv", "--task", "age", "-o", child)
    here.run("fmtool", "bundle", "verify", child)


def parquet(here: Environment) -> None:
    """A table of many scans' answers that pyarrow reads back."""
    here.run("fmtool", "predict", template(here), "--out", here.work / "many")
    read = "import sys, pyarrow.parquet as p; print(p.read_table(sys.argv[1]).num_rows)"
    rows = here.run("python", "-c", read, here.work / "many" / "results.parquet")
    if int(rows) != 1:
        raise Failed(f"results.parquet has {rows} rows, not one")


def train(here: Environment) -> None:
    """From a synthetic cohort to a bundle that predicts."""
    here.run("fmtool", "train", "synth", "cohort", "-n", "12", "--seed", "1", "--prepared")
    small = ("--width", "0.0625", "--epochs", "1", "--view", "48", "48", "48")
    table = "cohort/cohort.csv"
    here.run("fmtool", "train", "simclr", table, "-o", "run", *small)
    here.run(
        "fmtool", "train", "probe", table, "--task", "age", "-e", "run/encoder", "-o", "age.json"
    )
    here.run("fmtool", "export", "run/encoder", "--head", "age.json", "-o", "mine.fmtool")
    _answers(here.run("fmtool", "predict", template(here), "-b", "mine.fmtool", "--json"))


def bench(here: Environment) -> None:
    """Few inferences beside torch, with a plot; the reference chain's libraries load."""
    few = ("--repeats", "2", "--batch", "1", "--engine", "openvino", "--against", "torch:eager")
    here.run("fmtool", "bench", *few, "--plot", "bench.png")
    here.run("python", "-c", "import ants, matplotlib, psutil, SimpleITK")


def rtx(here: Environment) -> None:
    """Its libraries load; building needs no GPU but minutes, and has tests of its own."""
    load = "import onnxruntime_ep_nv_tensorrt_rtx, tensorrt_rtx_bindings, cuda.bindings.driver"
    here.run("python", "-c", load)


def sign(here: Environment) -> None:
    """A bundle is signed, and its signature is required."""
    asked = (
        "import shutil, sys; from fmtool import bundle; shutil.copytree(bundle.DEMO, sys.argv[1])"
    )
    here.run("python", "-c", asked, here.work / "mine.fmtool")
    here.run("fmtool", "bundle", "keygen", here.work / "site.key")
    here.run("fmtool", "bundle", "sign", "mine.fmtool", "--key", here.work / "site.key")
    required = {"FMTOOL_TRUSTED_KEYS": str(here.work / "site.key.pub")}
    here.run("fmtool", "bundle", "show", "mine.fmtool", more=required)


def template(here: Environment) -> Path:
    """The one scan that the wheel holds: the demonstration bundle's template, a stripped head."""
    asked = "from fmtool import bundle; print(bundle.DEMO / 'template.nii.gz')"
    return Path(here.run("python", "-c", asked).strip())


def _answers(said: str) -> None:
    """Refuse what is no result with a value."""
    found = json.loads(said)
    first = found[0] if isinstance(found, list) else found
    if not first.get("values"):
        raise Failed(f"no value in {said[:200]}")


USES: dict[str, tuple[str, Use]] = {
    "cpu": ("cpu", predict),
    "dicom": ("cpu,dicom", dicom),
    "http": ("cpu,http", http),
    "mrd": ("cpu,mrd", mrd),
    "parquet": ("cpu,parquet", parquet),
    "train": ("train", train),
    "bench": ("bench", bench),
    "rtx": ("rtx", rtx),
    "sign": ("cpu,sign", sign),
    "site": ("cpu,site", site),
}
"""Extra -> what is installed for it, and its use."""

USES |= {
    extra: (extra, predict_with(row.name))
    for row in ROWS
    if row.module and (extra := row.get.partition("[")[2].partition("]")[0]) not in USES
}

RESOLVED_ONLY = {
    "plot": "matplotlib, which `bench` uses too",
    "ray": "its own tests start a cluster",
    "fuzz": "atheris is only for `python -m benchmarks.fuzz`",
    "dev": "the tests themselves run in it",
    "docs": "tests/docs builds the site with it",
    "gpu": "needs a GPU: make gpu-check",
    "tensorrt": "its libraries come from NVIDIA's index, and it needs a GPU",
}
"""Extras without a use here, and why."""
