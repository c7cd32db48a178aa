"""What becomes of our own wishes once an association has ended: nothing."""

from __future__ import annotations

from pynetdicom.fsm import StateMachine

_ENDED = ("Sta1", "Sta13")  # no connection; one that only waits to be closed
_OURS = ("Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15")  # requests and responses, PS3.8, 9.2.1


def bear_late_wishes(machine: StateMachine) -> None:
    """Let `machine` pass over what its own side still asks for when there is nobody left to ask.

    An abort of ours may meet the peer's. pynetdicom 3.0 raises then, which ends the thread that
    would close the connection.
    """
    act = machine.do_action

    def do_action(event: str) -> None:
        if event not in _OURS or machine.current_state not in _ENDED:
            act(event)

    machine.do_action = do_action  # type: ignore[method-assign]
