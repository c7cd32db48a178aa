"""A request that is refused: the status and the sentence."""

from __future__ import annotations


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
