"""Limits: how much may be sent, how slowly, and by how many at once."""

from __future__ import annotations

from dataclasses import dataclass


class Refusal(Exception):
    """What a client gets instead of what it asked for.

    Attributes:
        status: of the answer.
        sentence: what is wrong and what to do.
        retry_s: when to try again; None if that helps nothing.
    """

    def __init__(self, status: int, sentence: str, retry_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_s = status, sentence, retry_s


@dataclass(frozen=True)
class Limits:
    """The defaults suit one machine beside one scanner.

    Attributes:
        max_bytes: of one upload, as it is sent.
        queue: jobs that wait, run or are being uploaded; one more gets 429.
        connections: at once, from accept on; of one address, an eighth less.
        header_s: from accept, or the last answer, until a request's head must have arrived.
        body_s: without a byte of a body until it is given up; and the time that a body may take
            whatever its size.
        min_bytes_per_s: what a longer body must keep up on average.
        linger_s: that a body is still read after its request was answered.
        request_s: from a request's head to the end of its answer.
        retry_s: that a client which got 429 or 503 is told to wait.
    """

    max_bytes: int = 1 << 30
    queue: int = 16
    connections: int = 64
    header_s: float = 10.0
    body_s: float = 20.0
    min_bytes_per_s: int = 32 << 10
    linger_s: float = 5.0
    request_s: float = 3600.0
    retry_s: int = 10

    @property
    def connections_each(self) -> int:
        """Connections of one address at once."""
        return self.connections - self.connections // 8

    def too_slow(self, count: int, seconds: float) -> bool:
        """Whether a body of which `count` bytes took so long is given up."""
        return seconds > self.body_s and count < self.min_bytes_per_s * seconds
