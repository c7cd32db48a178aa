"""What an association's state machine bears, and what it still complains of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("pynetdicom", reason="needs fmtool[dicom]")

from pynetdicom.fsm import InvalidEventError, StateMachine

from runtime.service.node.hardened import guard


def machine(state: str) -> StateMachine:
    made = StateMachine(cast(Any, SimpleNamespace()))
    made.current_state = state
    guard(made)
    return made


@pytest.mark.parametrize("state", ["Sta1", "Sta13"])
def test_an_abort_of_ours_that_comes_too_late(state: str) -> None:
    ended = machine(state)
    ended.do_action("Evt15")
    assert ended.current_state == state


@pytest.mark.parametrize(("state", "event"), [("Sta1", "Evt19"), ("Sta2", "Evt15")])
def test_what_is_invalid_otherwise_is_still_an_error(state: str, event: str) -> None:
    with pytest.raises(InvalidEventError):
        machine(state).do_action(event)
