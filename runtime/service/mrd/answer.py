"""Answering a stream, in the process that computes and may break: a file of messages to send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from runtime.preprocess.template import Template
from runtime.result import Result
from runtime.service.answer import Answerer, Order, Outcome, answered
from runtime.service.mrd import parameters, returned, volume, wire
from runtime.service.mrd.volume import StreamScan
from runtime.service.mrd.wire import MrdMessage, Tag

ANSWER = "answer.mrd"
"""The messages to send, one after the other."""


class MrdAnswerer(Answerer):
    """A Predictor for streams that were kept as they came."""

    def answer(self, order: Order) -> Outcome:
        """Answer; whatever goes wrong is in the outcome."""
        held: list[StreamScan] = []
        switches = dict(parameters.DEFAULTS)

        def predict(path: Path) -> Result:
            messages = list(stored(path))
            texts = (wire.text_of(m) for m in messages if m.kind == Tag.TEXT)
            switches.update(parameters.read(texts)[0])
            held.append(volume.read(messages))
            return self._predictor.predict(held[0].scan)

        def make(order: Order, result: Result, template: Template) -> Mapping[str, bytes]:
            del template
            made = returned.messages(held[0], result, switches, order.content)
            return {ANSWER: b"".join(message.wire for message in made)}

        return answered(order, predict, make, self._predictor.template)


def stored(path: Path) -> Iterator[MrdMessage]:
    """The messages of a file.

    Raises:
        InputError: if it is cut off.
    """
    with path.open("rb") as stream:
        yield from each(stream)


def each(stream: BinaryIO) -> Iterator[MrdMessage]:
    """The messages of a stream that ends.

    Raises:
        InputError: for one that is not taken.
    """
    while (message := wire.read(stream.read)) is not None:
        yield message
