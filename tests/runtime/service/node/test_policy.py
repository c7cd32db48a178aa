"""AE titles and peers as people type them, and the words of a report."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fmtool.errors import UsageError
from fmtool.task import Task
from runtime.documents import coding
from runtime.service.node.policy import Peer, Policy, parse_peer


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS@10.0.0.5:104", Peer("PACS", "10.0.0.5", 104)),
        ("MY PACS@pacs.example:11112", Peer("MY PACS", "pacs.example", 11112)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
    ],
)
def test_a_peer(text, peer):
    assert parse_peer(text) == peer


@pytest.mark.parametrize(
    "text",
    ["PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:70000", "A\\B@host:1",
     "SEVENTEENLETTERSX@host:1", "PACS@::1:104", " PACS@host:1"],
)  # fmt: skip
def test_no_peer(text):
    with pytest.raises(UsageError):
        parse_peer(text)


def test_somebody_must_be_allowed():
    with pytest.raises(UsageError, match="--allow"):
        Policy()
    with pytest.raises(UsageError, match="AE title"):
        Policy(allow=("",))


def test_units_and_concepts_fit_their_fields():
    for unit, code in [("years", "a"), ("probability", "1"), ("NIHSS points", "{NIHSS_points}"),
                       ("µmol {each} of 100 millilitres", "{_mol__each__of}")]:  # fmt: skip
        concept = coding.unit(unit)
        assert concept[:2] == (code, "UCUM")
        assert len(concept.value) <= 16
    long = Task("a_task_with_a_very_long_name", "regression", "mm", "x")
    other = Task("a_task_with_a_very_long_name_2", "regression", "mm", "x")
    codes = {coding.concept(task.name, task.classes).value for task in (long, other)}
    assert len(codes) == 2
    assert all(len(code) <= 16 for code in codes)


def test_the_extra_is_named_where_it_is_absent():
    code = (
        "import sys\n"
        "sys.modules['pynetdicom'] = None\n"
        "from fmtool.cli import main\n"
        "sys.argv = ['fmtool', 'serve', 'dicom', '--inbox', 'x', '--allow', 'A']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "fmtool[dicom]" in done.stderr
