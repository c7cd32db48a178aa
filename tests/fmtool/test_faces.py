"""What each package offers by name: loaded when it is used, seen by mypy, its examples true."""

from __future__ import annotations

import ast
import doctest
import inspect
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

FACES = ("fmtool", "runtime", "training", "export")
PUBLIC = (
    "fmtool.bundle:open",
    "runtime.engines.selftest:self_test",
    "runtime.predict:Predictor",
    "runtime.predict:predict",
    "runtime.preprocess.bias:n4",
    "runtime.preprocess.pipeline:prepare",
    "runtime.preprocess.register:rigid",
    "runtime.scan:read",
    "training.augment:SimCLRAugment",
    "training.encoders:build",
    "training.encoders:load_checkpoint",
    "training.simclr:nt_xent",
    "export.onnx:export",
    "export.precision:to_fp16",
    "export.verify:parity",
)


def needed(name: str) -> None:
    if name.startswith(("training", "export")):
        pytest.importorskip("torch")
        pytest.importorskip("onnx")


@pytest.mark.parametrize("face", FACES)
def test_importing_a_face_loads_nothing_heavy(face: str) -> None:
    asked = f"import sys, {face}; dir({face}); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert face in loaded
    assert not loaded & {"numpy", "scipy", "nibabel", "torch", "onnx", "openvino", "onnxruntime"}


@pytest.mark.parametrize("face", FACES)
def test_what_a_face_names_is_there_and_mypy_sees_the_same(face: str) -> None:
    needed(face)
    module = import_module(face)
    seen = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If):
            seen = [alias for line in node.body for alias in line.names]
    assert [alias.asname for alias in seen] == [alias.name for alias in seen]
    assert sorted(alias.name for alias in seen) == module.__all__ == dir(module)
    for name in module.__all__:
        found = getattr(module, name)
        assert found.__doc__
        assert found.__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'nothing'"):
        _ = module.nothing


def test_a_task_that_was_not_answered_is_named() -> None:
    from runtime.result import Result

    result = Result("a", {"age": "an answer"}, None, [], None, {}, "", {}, {})
    assert result["age"] == "an answer"
    assert ("age" in result, "sex" in result, list(result)) == (True, False, ["age"])
    with pytest.raises(KeyError, match=r"no answer for 'sex'; there is one for age"):
        _ = result["sex"]


HEAVY = (
    "runtime",
    "export",
    "runtime.predict:Predictor",
    "runtime.predict:predict",
    "runtime.preprocess.pipeline:prepare",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name
        for name in (*FACES, *PUBLIC)
    ],
)
def test_the_examples_of_a_docstring_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed(name)
    module, _, inside = name.partition(":")
    found = import_module(module)
    if inside:
        found = getattr(found, inside)
    (test,) = doctest.DocTestFinder(recurse=False).find(found, name, globs={})
    assert test.examples
    if "head.nii.gz" in test.docstring:
        pydeface = pytest.importorskip("pydeface", reason="pydeface's whole-head average is absent")
        head = Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz"
        (tmp_path / "head.nii.gz").symlink_to(head)
    if "mine.fmtool" in test.docstring:
        from fmtool import bundle

        shutil.copytree(bundle.DEMO, tmp_path / "mine.fmtool")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    assert not said, "".join(said)
