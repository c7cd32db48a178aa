"""One connection: images come, originals and answers go back, exactly one CLOSE, come what may."""

from __future__ import annotations

import hashlib
import logging
import secrets
import select
import socket
import time
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

from fmtool.errors import InputError
from runtime.service.ending import Ending
from runtime.service.log import tell
from runtime.service.loop import SHORT
from runtime.service.mrd import meta, parameters, wire
from runtime.service.mrd.front import MrdFront, MrdJob, logger
from runtime.service.mrd.limits import Holding, SessionLimits
from runtime.service.mrd.volume import NAME
from runtime.service.mrd.wire import MrdMessage, Tag

_TICK_S = 0.1
_PROGRESS_S = 5.0
_LINGER_S = 2.0  # for what the other side has under way, so that the CLOSE reaches it
_PIECE = 1 << 20
_KEPT_TEXTS = 8
_PASSING_S = 1.0  # what keeps the server from computing may pass


class _Ended(Exception):
    """The server was asked to end."""


class MrdSession:
    """A conversation with one client; it runs in a thread.

    Args:
        client: connected.
        front: that answers.
        folder: for the stream while it is answered.
        limits: see there.
        holding: that all connections share.
        enough: whether the folder's disk has room.
        ending: when to stop.
    """

    def __init__(
        self,
        client: socket.socket,
        front: MrdFront,
        folder: Path,
        limits: SessionLimits,
        holding: Holding,
        enough: Callable[[], bool],
        ending: Ending,
    ) -> None:
        self._client, self._front, self._limits, self._ending = client, front, limits, ending
        self._holding, self._enough = holding, enough
        self._path = folder / f"{secrets.token_hex(8)}.mrd"
        self._file: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self._unkept = ""
        self._images: list[MrdMessage] = []
        self._texts: list[bytes] = []
        self._held = self._count = 0
        self._input = self._receiving = True  # whether bytes may still come in, and are wanted
        self._returned = self._spoke = False
        self._end = time.monotonic() + limits.longest_s

    def run(self) -> None:
        """Converse, and be gone."""
        facts: dict[str, object] = {}
        try:
            self._client.setblocking(False)
            facts["why"] = self._converse()
        except OSError as error:  # the client is gone, or takes nothing
            facts |= {"why": "the client is gone", "kind": type(error).__name__}
        except Exception:
            logger.exception("connection_failed")
        finally:
            facts["images"] = self._count
            self._let_go()
            self._client.close()
            tell(logger, "connection_ended", **facts)

    def _converse(self) -> str:
        why = ""
        try:
            self._say("DBG", "the server takes the images of one T1-weighted head.")
            if self._front.busy:
                self._say("DBG", "another scan is being computed; this one will wait for it.")
            why = self._received()
            switches, remarks = parameters.read(self._texts)
            for remark in remarks:
                self._say("WRN", f"{remark}.")
            if switches["originals"]:
                self._originals()
            answer = why or self._answered()
            if isinstance(answer, Path):
                self._send_file(answer)
            else:
                why = answer
        except OSError:
            raise
        except Exception:
            logger.exception("connection_failed")
            why = "an error of fmtool; its log says which"
        if why:
            self._originals()
            self._say("WRN", f"{why}.")
        self._send(wire.CLOSE.wire)
        self._let_go()  # before the client, told of the end, may come again
        self._linger()
        return why or "answered"

    def _received(self) -> str:
        """Take what comes; why it is not to be answered, or ""."""
        try:
            while (message := self._next()) is not None and message.kind != Tag.CLOSE:
                self._keep(message)
        except _Ended:
            return "the server is being stopped"
        except TimeoutError as error:
            return str(error)
        except InputError as error:
            return str(error)
        finally:
            self._receiving = False
            if self._file is not None:
                self._flush()
        return ""

    def _next(self) -> MrdMessage | None:
        """The next message; its bytes are held."""
        before, inside = self._held, False

        def allow(size: int) -> None:
            if self._held + size > wire.MAX_SESSION_BYTES:
                raise InputError(
                    f"the client sent more than {wire.MAX_SESSION_BYTES >> 20} MiB; expected the "
                    "images of one scan"
                )
            self._holding.take(size)
            self._held += size

        def take(size: int) -> bytes:
            nonlocal inside
            idle_s = self._limits.idle_s if self._spoke else self._limits.silent_s
            found = self._take(size, self._limits.stall_s if inside else idle_s)
            inside = self._spoke = True
            return found

        message = wire.read(take, allow)
        if message is not None and message.kind is not Tag.IMAGE:
            self._holding.give(self._held - before)  # no more than a few of these are kept
            self._held = before
        return message

    def _take(self, size: int, patience_s: float) -> bytes:
        """So many bytes; fewer at the end of the stream."""
        found = bytearray()
        until = time.monotonic() + patience_s
        while len(found) < size:
            if self._ending.asked:
                raise _Ended
            now = time.monotonic()
            if now > min(until, self._end):
                raise TimeoutError(f"the client sent nothing for {patience_s:g} s")
            if not select.select([self._client], [], [], _TICK_S)[0]:
                continue
            part = self._client.recv(min(size - len(found), _PIECE))
            if not part:
                self._input = False
                break
            found += part
            until = now + self._limits.stall_s
        return bytes(found)

    def _keep(self, message: MrdMessage) -> None:
        """Remember what is needed of a message, on disk too, where another process reads it."""
        if message.kind is Tag.IMAGE:
            if len(self._images) == wire.MAX_MESSAGES:
                raise InputError(f"the client sent more than {wire.MAX_MESSAGES} images")
            self._images.append(message)
            self._count += 1
        elif message.kind is Tag.TEXT:
            text = wire.text_of(message)
            if not text.lstrip().startswith(b"{") or len(text) > parameters.MAX_JSON_BYTES:
                return
            self._texts = [*self._texts[1 - _KEPT_TEXTS :], text]
        elif message.kind is not Tag.HEADER:
            return
        data = message.wire
        self._digest.update(data)
        if self._unkept:
            return
        try:
            if self._file is None:
                if not self._enough():
                    raise OSError("too little space")
                self._file = self._path.open("xb")
            self._file.write(data)
        except OSError:
            self._unkept = "the server's disk is full"

    def _flush(self) -> None:
        assert self._file is not None
        try:
            self._file.close()
        except OSError:
            self._unkept = "the server's disk is full"

    def _answered(self) -> Path | str:
        """Where the messages to send are, or why there are none."""
        if not self._images:
            return "no image came; send the images of one T1-weighted head"
        if self._unkept:
            return self._unkept
        job = MrdJob(self._path, self._digest.hexdigest())
        if self._front.submit(job):
            self._say("DBG", "another scan is being computed; this one waits for it.")
        start = told = going = time.monotonic()
        try:
            while not job.done.wait(_TICK_S):
                now = time.monotonic()
                if self._ending.asked:
                    return "the server is being stopped"
                blocked = self._front.blocked()
                going = going if blocked else now
                if now - going > _PASSING_S:
                    return f"the server cannot compute just now ({blocked}); its log says why"
                if now - start > self._limits.budget_s:
                    return f"{NAME} was not answered within {self._limits.budget_s:g} s"
                if now - told >= _PROGRESS_S:
                    told = now
                    self._say("DBG", f"computing, {now - start:.0f} s.")
        finally:
            self._front.withdraw(job)
        tell(
            logger,
            "settled",
            stream=job.content[:SHORT],
            seconds=round(time.monotonic() - start, 1),
        )
        return job.answer if job.answer is not None else job.reason

    def _originals(self) -> None:
        """Give back what came, once, with nothing changed but that its geometry is to be kept."""
        if self._returned:
            return
        self._returned = True
        for message in self._images:
            came = wire.image(message)
            kept = meta.keeping_geometry(came.attributes)
            if kept == came.attributes:
                self._send(message.wire)
            else:
                self._send(wire.image_message(came.head, kept, came.data).wire)

    def _say(self, level: str, sentence: str) -> None:
        """A text; consoles colour it by the three letters it begins with."""
        self._send(wire.text_message(f"{level} fmtool: {sentence}").wire)

    def _send_file(self, path: Path) -> None:
        with path.open("rb") as stream:
            while part := stream.read(_PIECE):
                self._send(part)

    def _send(self, data: bytes) -> None:
        """Send all of it; whoever still sends, instead of reading, is listened to meanwhile.

        Raises:
            OSError: if the client is gone, or takes nothing for too long.
        """
        left, until = memoryview(data), time.monotonic() + self._limits.stall_s
        while left:
            reading = [self._client] if self._input and not self._receiving else []
            readable, writable, _ = select.select(reading, [self._client], [], _TICK_S)
            if readable and not self._client.recv(_PIECE):
                self._input = False
            if writable:
                left = left[self._client.send(left[:_PIECE]) :]
                until = time.monotonic() + self._limits.stall_s
            elif time.monotonic() > until:
                raise TimeoutError("the client takes nothing")

    def _linger(self) -> None:
        """Read what is under way, for closing at once would throw away what was sent."""
        self._client.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LINGER_S
        while self._input and (left := end - time.monotonic()) > 0:
            if select.select([self._client], [], [], left)[0] and not self._client.recv(_PIECE):
                self._input = False

    def _let_go(self) -> None:
        self._images.clear()
        self._holding.give(self._held)
        self._held = 0
        for path in (self._path, self._path.with_suffix(".answer")):
            path.unlink(missing_ok=True)


def refuse(client: socket.socket, sentence: str) -> None:
    """Tell a client that cannot be served, and close; it is not waited for."""
    with client:
        client.settimeout(0.5)
        try:
            client.sendall(wire.text_message(f"WRN fmtool: {sentence}").wire + wire.CLOSE.wire)
            client.shutdown(socket.SHUT_WR)
        except OSError as error:
            tell(logger, "connection_ended", logging.INFO, kind=type(error).__name__)
