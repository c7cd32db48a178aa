"""The pipes between fmtool's own processes, which pickle by nature: nobody else can write there."""

from __future__ import annotations

import ast
import os
import re
import socket
import stat
from pathlib import Path

import pytest

from runtime.system.child import Child

ROOT = Path(__file__).parents[2]


class Echo:
    """Replies with the request."""

    about = "up"

    def __call__(self, request):
        return request

    def close(self):
        pass


@pytest.fixture
def child():
    made = Child(Echo)
    yield made
    made.close()


def test_a_pipe_has_no_name_that_another_process_could_open(child):
    assert child.ask({"x": 1}, 30.0) == {"x": 1}
    handle = child._pipe.fileno()
    assert os.readlink(f"/proc/self/fd/{handle}").startswith("socket:[")
    with socket.socket(fileno=os.dup(handle)) as pipe:
        assert pipe.family == socket.AF_UNIX
        assert pipe.getsockname() in ("", b"")
        assert pipe.getpeername() in ("", b"")
    assert not os.get_inheritable(handle)


@pytest.mark.parametrize("whose", ["self", "child"])
def test_its_ends_are_for_this_user_alone(child, whose):
    number = os.getpid() if whose == "self" else child.pid
    folder = os.stat(f"/proc/{number}/fd")
    assert folder.st_uid == os.getuid()
    assert stat.S_IMODE(folder.st_mode) & (stat.S_IRWXG | stat.S_IRWXO) == 0


def test_the_threat_model_names_every_module_that_has_one():
    told = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    named = {str(found) for found in re.findall(r"`((?:runtime|training)/[\w/]+\.py)`", told)}
    having = set()
    for package in ("fmtool", "runtime", "training", "export"):
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    modules.append(node.module or "")
                if any(m.partition(".")[0] == "multiprocessing" for m in modules):
                    having.add(str(file.relative_to(ROOT)))
    assert having
    assert having <= named
