"""No file, request or result is ever run as code: searched for in the sources, then watched."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("fmtool", "runtime", "training", "export")
MODULES = {"pickle", "cPickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
TRUSTED = {"export/parts/strip.py": ["jit.load"]}
"""deepbet's own networks, out of its installed package, when the demonstration bundle is made."""
METHODS = {("os", "system"), ("os", "popen"), ("pd", "read_pickle"), ("jit", "load")}


def _problems(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [node.module or ""]
        else:
            named = []
        found += [(node.lineno, name) for name in named if name.partition(".")[0] in MODULES]
        if isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _calls(node)]
    return found


def _calls(node: ast.Call) -> list[str]:
    given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
    said = []
    if isinstance(node.func, ast.Name) and node.func.id in CALLS:
        said.append(node.func.id)
    if isinstance(node.func, ast.Attribute):
        owner, name = ast.unparse(node.func.value).rpartition(".")[2], node.func.attr
        if (owner, name) in METHODS:
            said.append(f"{owner}.{name}")
        if (owner, name) == ("torch", "load") and given.get("weights_only") is not True:
            said.append("torch.load without weights_only=True")
    if given.get("allow_pickle") not in (None, False):
        said.append("allow_pickle")
    if given.get("shell") not in (None, False):
        said.append("shell")
    return said


@pytest.mark.parametrize("package", PACKAGES)
def test_the_sources_ask_for_none(package):
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        if problems := _problems(ast.parse(file.read_text(encoding="utf-8"))):
            found[str(file.relative_to(ROOT))] = [what for _, what in problems]
    assert found == {file: what for file, what in TRUSTED.items() if file.startswith(package)}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "import yaml.loader",
        "eval(text)",
        "exec(compile(text, 'x', 'exec'))",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.jit.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert _problems(ast.parse(line))


@pytest.mark.parametrize(
    "line",
    ["torch.load(path, weights_only=True)", "network.eval()", "np.load(path)", "re.compile(x)"],
)
def test_the_search_finds_nothing_else(line):
    assert not _problems(ast.parse(line))


WATCHED = """
import sys
from pathlib import Path
seen = []
sys.addaudithook(lambda event, args: event == "pickle.find_class" and seen.append(args))

from fmtool import bundle as bundles
from runtime import report, scan, trust
from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes
from runtime.predict import Predictor

place = Path(sys.argv[1])
with Predictor(engine="onnxruntime") as predictor:
    result = predictor.predict(place / "head")
    trust.read(predictor.bundle)
    report.html(result.to_dict(), {})
with Ledger(place / "ledger.sqlite") as ledger:
    ledger.add("a", "b", "c", {})
    list(outcomes(ledger))
print("unpickled", seen)

import pickle
pickle.loads(pickle.dumps(Path("control")))
print("control", len(seen))
"""


@pytest.mark.slow
def test_a_prediction_unpickles_nothing(tmp_path):
    """Python itself tells of every class that an unpickler looks up; none is, until the control."""
    import nibabel as nib
    import numpy as np

    from fmtool import bundle, space

    pytest.importorskip("onnxruntime")
    (tmp_path / "head").mkdir()
    template = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj)
    for name, array in (("normalized", template), ("mask", template > 0)):
        image = nib.Nifti1Image(array.astype(np.float32), space.grid_affine())
        nib.save(image, tmp_path / "head" / f"{name}.nii.gz")
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "unpickled []" in done.stdout
    assert "control 0" not in done.stdout
