"""An association's state machine, borne with where pynetdicom's ends the thread that drives it."""

from __future__ import annotations

from pynetdicom.fsm import StateMachine
from pynetdicom.pdu import A_ABORT_RQ

from runtime.service.node.log import Log

# Events of PS3.8, 9.2.1
_OURS = ("Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15")  # requests and responses
_THEIRS = ("Evt3", "Evt4", "Evt6", "Evt10", "Evt12", "Evt13", "Evt16")  # PDUs

_ENDED = ("Sta1", "Sta13")  # no connection; one that only waits to be closed

# Reason of PS3.8, 9.3.8
_INVALID_VALUE = 6


def guard(machine: StateMachine, log: Log) -> None:
    """Make `machine`, of a connection that has just been opened, bear two more things.

    * What its own side still asks for when there is nobody left to ask is passed over: an abort of
      ours may meet the peer's.
    * A PDU that can be decoded but has a value that it must not have ends its association: an
      A-ABORT, and the connection is closed.

    pynetdicom 3.0 raises in both cases, which ends the thread that would close the connection.
    """
    act = machine.do_action

    def do_action(event: str) -> None:
        if event in _OURS and machine.current_state in _ENDED:
            return
        try:
            act(event)
        except Exception as error:  # whatever hostile values raise in it
            if event not in _THEIRS:
                raise
            log(
                "connection_ended",
                peer=machine.dul.assoc.requestor.address,
                why="a PDU has a value that it must not have",
                exception=type(error).__name__,
            )
            _abort(machine)

    machine.do_action = do_action  # type: ignore[method-assign]


def _abort(machine: StateMachine) -> None:
    """What pynetdicom does where a PDU cannot be decoded."""
    pdu = A_ABORT_RQ()
    pdu.source = 2  # the service provider
    pdu.reason_diagnostic = _INVALID_VALUE
    dul = machine.dul
    if dul.socket is not None:
        dul.socket.send(pdu.encode())
    dul.assoc.is_aborted = True
    dul.to_user_queue.put(None)  # wakes who waits for a request, and closes the connection
