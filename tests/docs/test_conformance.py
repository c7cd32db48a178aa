"""The conformance statement says what the node does."""

from __future__ import annotations

import pytest

pytest.importorskip("pynetdicom")

from documentation import conformance
from runtime.documents.naming import DOCUMENTS
from runtime.service.node import receive, scp
from runtime.service.node.peers import commit
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox


def test_the_classes_are_those_that_are_listened_for(tmp_path):
    inbox = Inbox(tmp_path, 0)
    try:
        listener = scp.listen(Policy(allow=("X",)), inbox, "127.0.0.1", 0, None)
        contexts = {c.abstract_syntax: c.transfer_syntax for c in listener.ae.supported_contexts}
        listener.server_close()
    finally:
        inbox.close()
    rows = [line.split(" | ") for line in conformance.classes().splitlines()[2:]]
    taken = {row[1].strip("`"): row[3] for row in rows if row[2] == "SCP"}
    assert set(taken) == set(contexts)
    for sop_class in scp.SOP_CLASSES:
        told = taken[sop_class].rstrip(" |").split("; ")
        assert told == [uid.name for uid in contexts[sop_class]]
    sent = {row[1].strip("`") for row in rows if row[2] == "SCU"}
    assert sent == {commit.SOP_CLASS, *(sop for sop, _ in DOCUMENTS.values())}


@pytest.mark.parametrize(
    ("module", "told"), [(receive, conformance.statuses), (commit, conformance.reports)]
)
def test_every_status_that_is_given_is_told(module, told):
    names = [name for name in vars(module) if name[0] != "_" and name.isupper()]
    given = {n for name in names if isinstance(n := getattr(module, name), int)}
    assert {int(line.split()[1], 16) for line in told().splitlines()[2:]} == given


def test_the_limits_are_the_policy_s():
    policy, told = Policy(allow=("X",)), conformance.limits()
    assert f"aborted, s | {policy.network_s:g} |" in told
    assert f"asked for, bytes | {policy.max_pdu} |" in told
