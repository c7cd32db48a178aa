"""What the emulated machine's numbers are compared by."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="the dicom extra is absent")

from benchmarks.emulated import __main__ as lane
from benchmarks.emulated import machine
from benchmarks.packages.environment import Failed
from benchmarks.supply.locks import LOCKS
from fmtool import bundle as bundles

with bundles.open() as _opened:
    ERROR = _opened.evidence("age")["value"]  # years
HERE = {"value of age": 40.0, "value of sex": 0.5, "embedding": [0.0, 2.0], "brain volume": 1200.0}


@pytest.mark.parametrize(
    ("change", "share"),
    [
        ({}, 0.0),
        ({"value of age": 40.0 + 0.001 * ERROR}, 0.001),
        ({"value of sex": 0.5005}, 0.001),
        ({"embedding": [0.002, 2.0]}, 0.001),  # of the largest
        ({"brain volume": 1201.2}, 0.001),
        ({"embedding": [0.0, float("nan")]}, float("inf")),
    ],
)
def test_what_differs_is_a_share_of_what_matters(change, share):
    found = max(lane.differences(HERE, HERE | change))
    assert found == pytest.approx(share, rel=1e-3)
    assert (found > lane.ALLOWED) == bool(change)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({**HERE, "value of iq": 1.0}, "only one machine says .*iq"),
        ({k: v for k, v in HERE.items() if k != "embedding"}, "only one machine says .*embedding"),
        ({**HERE, "embedding": [0.0]}, "embedding: 1 numbers instead of 2"),
    ],
)
def test_what_one_machine_alone_says_is_no_agreement(there, said):
    with pytest.raises(Failed, match=said):
        list(lane.differences(HERE, there))


def test_a_ledger_that_is_being_made_has_no_answer(tmp_path):
    file = tmp_path / "ledger.sqlite"
    assert lane._answered(file) == 0
    with sqlite3.connect(file) as connection:
        assert lane._answered(file) == 0
        connection.execute("CREATE TABLE results (item INTEGER)")
        connection.execute("INSERT INTO results VALUES (1)")
    assert lane._answered(file) == 1


def test_an_emulated_python_is_one_that_the_system_can_start(tmp_path):
    echo = shutil.which("echo")
    made = machine._python(tmp_path / "a b", Path("/usr/bin"), [echo, "-L", "root"], Path("real"))
    said = subprocess.run([made, "-c", "x y"], capture_output=True, text=True, check=True).stdout
    assert said == f"-L root -0 {made} real -c x y\n"
    assert (tmp_path / "a b" / "pyvenv.cfg").read_text() == "home = /usr/bin\n"


def test_its_lock_file_is_one_for_its_system():
    assert machine.LOCK in LOCKS
    assert machine.MADE_FOR[machine.LOCK].startswith("aarch64-")
