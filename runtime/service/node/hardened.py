"""An association's state machine, borne with where pynetdicom's ends the thread that drives it."""

from __future__ import annotations

import logging

from pynetdicom.acse import ACSE
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.fsm import StateMachine
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA

from runtime.service.node.log import node_log

_COMMAND, _LAST = 1, 2  # bits of a fragment's first byte (PS3.8, E.2)
_MOST_COMMAND = 16 << 10
_INVALID = "Evt19"  # of the state machine of PS3.8, 9.2.1: answered with an A-ABORT


class Dimse(DIMSEServiceProvider):
    """pynetdicom's message decoder, for an association with a peer that may be hostile.

    pynetdicom 3.0 lets what a command set without its elements raises end the thread that reads the
    connection; the association then stays open until its time is up, and holds a place that others
    need. Of a command set it makes objects, element by element: one has a few hundred bytes.
    """

    _command = 0  # bytes of the command set that is arriving

    def receive_primitive(self, primitive: P_DATA) -> None:
        """A part of a message."""
        try:
            self._count(primitive)
            super().receive_primitive(primitive)
        except Exception as error:  # whatever hostile bytes raise in the decoder
            node_log(
                "connection_ended",
                logging.WARNING,
                peer=self.assoc.requestor.address,
                why="a message cannot be decoded",
                exception=type(error).__name__,
            )
            self.dul.event_queue.put(_INVALID)

    def _count(self, primitive: P_DATA) -> None:
        for _, data in primitive.presentation_data_value_list:
            if data[0] & _COMMAND:
                self._command += len(data)
                if self._command > _MOST_COMMAND:
                    raise ValueError("too large a command set")
                if data[0] & _LAST:
                    self._command = 0


class Acse(ACSE):
    """pynetdicom's negotiation, with a peer that may be hostile.

    pynetdicom 3.0 lets what a request's incomplete items raise, such as a presentation context
    without a syntax, end the thread that would answer and close the connection.
    """

    def negotiate_association(self) -> None:
        """Accept, refuse or abort what was requested."""
        try:
            super().negotiate_association()
        except Exception as error:  # whatever hostile bytes raise in the negotiation
            node_log(
                "connection_ended",
                logging.WARNING,
                peer=self.assoc.requestor.address,
                why="an association cannot be negotiated",
                exception=type(error).__name__,
            )
            self.assoc.abort()


# Events of PS3.8, 9.2.1
_OURS = ("Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15")  # requests and responses
_THEIRS = ("Evt3", "Evt4", "Evt6", "Evt10", "Evt12", "Evt13", "Evt16")  # PDUs

_ENDED = ("Sta1", "Sta13")  # no connection; one that only waits to be closed

# Reason of PS3.8, 9.3.8
_INVALID_VALUE = 6


def guard(machine: StateMachine) -> None:
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
            node_log(
                "connection_ended",
                logging.WARNING,
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
