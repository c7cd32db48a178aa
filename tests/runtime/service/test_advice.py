"""What a service says of a scan advises no option: whoever reads it cannot choose one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import fmtool
import runtime
from fmtool.errors import EngineError, InputError
from fmtool.errors.advice import no_options, option
from runtime import scan
from runtime.engines import selftest
from runtime.engines.choose import Choice
from runtime.service.answer import Answerer, Order, answered

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_OTHERS = (  # what no scan of a service comes to
    "fmtool/cli/", "runtime/batch/", "runtime/engines/trt/build.py",
    "runtime/engines/trt/configure.py", "runtime/report/page/style.py",
    "runtime/service/http/page/",
    "fmtool/bundle/write.py", "runtime/bids/", "runtime/service/mrd/openrecon/", "fmtool/project/",
)  # fmt: skip
_OF_SERVICES = {  # of the service that says so; and --batch, of who names it
    "--threads", "--host", "--port", "--token-file", "--allow", "--peer-tls", "--tls-cert",
    "--tls-key", "--tls-ca", "--root-path", "--batch", "--listen", "--any-client",
    "--peer", "--peer-token", "--peer-ca", "--fhir", "--fhir-token",
}  # fmt: skip


def test_inside_nothing_is_advised_and_afterwards_it_is():
    with no_options():
        assert option("; say --force") == ""
        with no_options():
            pass
        assert option("; say --force") == ""
    assert option("; say --force") == "; say --force"


def test_every_sentence_that_a_service_may_say_leaves_its_advice_out():
    top = Path(runtime.__file__).parents[1]
    found = []
    for package in (runtime, fmtool):
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            place = path.relative_to(top).as_posix()
            if not place.startswith(_OTHERS):
                found += [f"{place}: {text}" for text in _said(ast.parse(path.read_text("utf-8")))]
    assert found == []


def _said(tree):
    """The texts of a module, but for its docstrings, that name an option outside of `option()`."""
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "option":
            passed |= {id(inner) for inner in ast.walk(node)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(id(node.value))  # a docstring
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
            parts = [p.value if isinstance(p, ast.Constant) else "..." for p in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = [node.value]
        else:
            continue
        text = "" if id(node) in passed else "".join(parts)
        bare = re.sub(r"`[^`]*`", "", text)  # a command of its own, which has it
        if set(_OPTION.findall(bare)) - _OF_SERVICES:
            yield text


def test_a_scan_without_orientation_is_refused_without_an_option(tmp_path):
    head = nib.Nifti1Image(np.arange(64**3, dtype=np.float32).reshape(64, 64, 64), None)
    head.header["sform_code"] = head.header["qform_code"] = 0
    path = tmp_path / "head.nii"
    nib.save(head, path)
    with pytest.raises(InputError, match="--assume-ras"):
        scan.read(path)
    outcome = answered(Order(path, tmp_path, "the scan", "c" * 64), scan.read, None, None)
    assert "convert it again" in outcome.reason
    assert "--" not in outcome.reason


def test_a_bundle_that_does_not_open_is_told_without_an_option(monkeypatch):
    def fails(*words):
        raise EngineError("the engine does not compile")

    monkeypatch.setattr(selftest, "_open", fails)
    monkeypatch.setattr(
        "runtime.predict.choose",
        lambda *words: Choice("onnxruntime", "cpu", "float32", "why", ("engine", "precision")),
    )
    with pytest.raises(EngineError, match=r"chosen automatically$"):
        Answerer()
