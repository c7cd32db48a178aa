"""A client: sends a stream as a scanner does and keeps what comes back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fmtool.errors import InputError
from runtime.service.mrd import wire
from runtime.service.mrd.wire import MrdMessage, Tag

_TRIES, _PAUSE_S = 10, 0.5  # scanners try again while a server starts


@dataclass
class Conversation:
    """What came back.

    Attributes:
        images: in order.
        texts: without their null.
        closes: how many CLOSE came.
        first_s: from the connection to the first message.
        answer_s: from the last byte sent to the CLOSE.
    """

    images: list[MrdMessage] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    closes: int = 0
    first_s: float = float("inf")
    answer_s: float = float("inf")


def converse(
    address: tuple[str, int], messages: Sequence[MrdMessage], timeout_s: float = 600.0
) -> Conversation:
    """Send messages and take what comes back until the server closes.

    Raises:
        InputError: if nobody listens, or what comes back is no such stream.
    """
    with _connected(address, timeout_s) as wire_socket:
        start = time.monotonic()
        sent: list[float] = []
        sending = threading.Thread(target=_send, args=(wire_socket, messages, sent), daemon=True)
        sending.start()
        found = Conversation()
        with wire_socket.makefile("rb") as stream:
            try:
                while (message := wire.read(stream.read)) is not None:
                    found.first_s = min(found.first_s, time.monotonic() - start)
                    if message.kind is Tag.IMAGE:
                        found.images.append(message)
                    elif message.kind is Tag.TEXT:
                        found.texts.append(wire.text_of(message).decode("utf-8", "replace"))
                    elif message.kind is Tag.CLOSE:
                        found.closes += 1
                        sending.join(timeout_s)
                        found.answer_s = time.monotonic() - (sent or [start])[0]
            except TimeoutError:
                raise InputError(
                    f"the server said nothing for {timeout_s:g} s; see its log"
                ) from None
            except ConnectionError:
                return found
    return found


def _connected(address: tuple[str, int], timeout_s: float) -> socket.socket:
    for tried in range(_TRIES):
        try:
            return socket.create_connection(address, timeout=timeout_s)
        except ConnectionRefusedError:
            time.sleep(_PAUSE_S if tried < _TRIES - 1 else 0.0)
        except OSError as error:
            raise InputError(f"cannot reach {address[0]}:{address[1]} ({error})") from None
    raise InputError(f"nobody listens at {address[0]}:{address[1]}; start `fmtool serve mrd` there")


def _send(wire_socket: socket.socket, messages: Sequence[MrdMessage], sent: list[float]) -> None:
    try:
        for message in messages:
            wire_socket.sendall(message.wire)
    except OSError:
        return  # the server closed; what it said is read all the same
    finally:
        sent.append(time.monotonic())
