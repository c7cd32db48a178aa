"""The errors a user can cause, each with the exit code that the command line answers with.

A message is one sentence or two: what is wrong, with which file, what to do. Anything that is
not a `FmtoolError` is a defect of fmtool and may show a traceback.
"""

from __future__ import annotations

import re

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, breaks of lines, marks that turn the direction of text, and halves of
characters: what a terminal or a log would not show but obey."""


def shown(text: str) -> str:
    """A text on one line, as escapes what `UNSHOWN` finds in it."""
    return UNSHOWN.sub(lambda found: ascii(found[0])[1:-1], text)


class FmtoolError(Exception):
    """Base of all errors that fmtool reports in one clear sentence.

    The sentence may quote what others wrote, such as a file's name: it is escaped.
    """

    exit_code = 1

    def __str__(self) -> str:
        return shown(super().__str__())


class InputError(FmtoolError):
    """A scan, a table or a checkpoint that cannot be used; other inputs of a batch go on."""

    exit_code = 1


class PreprocessingError(InputError):
    """A readable scan in which a preprocessing stage found no usable brain."""


class BundleError(FmtoolError):
    """A bundle that is missing, damaged, or of a format this version does not read."""

    exit_code = 1


class ParityError(FmtoolError):
    """What was exported, or an engine, does not reproduce its reference within the tolerance."""

    exit_code = 1


class ShapeError(ParityError):
    """An output that is missing, or of another shape than the reference's."""


class ToleranceError(ParityError):
    """An output beyond its tolerance, or not finite.

    Attributes:
        output: the worst one.
        error: how far off it is; NaN or infinite where it is not finite.
        tolerance: how far off it may be, in the same unit.
        engine: that computed it.
        batch: the batch size it was computed at.
    """

    def __init__(
        self, sentence: str, output: str, error: float, tolerance: float, engine: str, batch: int
    ) -> None:
        super().__init__(sentence)
        self.output, self.error, self.tolerance = output, error, tolerance
        self.engine, self.batch = engine, batch


class EngineError(FmtoolError):
    """A model that an inference library could not compile for a GPU, or could not load again."""

    exit_code = 1


class LedgerError(FmtoolError):
    """A ledger that cannot be read or written: no space, another program's, a newer version's."""

    exit_code = 1


class UsageError(FmtoolError):
    """A command whose words are wrong: an unknown task, an impossible combination."""

    exit_code = 2


class CapabilityError(FmtoolError):
    """This machine cannot do what was asked: no GPU, no inference engine, a missing extra."""

    exit_code = 3
