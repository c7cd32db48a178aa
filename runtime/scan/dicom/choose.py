"""Choose one series: the one asked for, or the best-suited T1-weighted head, saying why.

The order is that of `suit.Suit`'s fields; of series that are equal in all of them, the one
acquired last is taken (a scan is repeated because the first one failed), then the larger number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmtool.errors import InputError
from runtime.scan.dicom.series import Series
from runtime.scan.dicom.suit import because, suit, unsuited, with_agent
from runtime.scan.dicom.weighting import shown

_MOST_LISTED = 12


@dataclass(frozen=True)
class Choice:
    """The series taken.

    Attributes:
        series: it.
        why: a sentence's end: "series 4 was chosen of 3: ...".
        others: the rest, each with why it was not taken.
        warnings: sentences a reader must see.
    """

    series: Series
    why: str
    others: list[tuple[Series, str]]
    warnings: list[str]


def choose(source: str, held: Sequence[Series], asked: str | None) -> Choice:
    """One of the series `held` by `source`.

    Args:
        asked: a SeriesNumber, a SeriesInstanceUID, or an id as the messages give it.

    Raises:
        InputError: if none suits, if the one asked for is not there or the word fits several, or
            if series that suit are of several patients or studies.
    """
    if asked is not None:
        series = _asked(source, held, asked)
        others = [(s, "another was asked for") for s in held if s is not series]
        return Choice(series, "it was asked for", others, _warnings(series))
    reasons = {s.uid: unsuited(s) for s in held}
    fit = [s for s in held if reasons[s.uid] is None]
    if not fit:
        why = "; ".join(f"{s}: {reasons[s.uid]}" for s in held[:_MOST_LISTED])
        more = f"; and {len(held) - _MOST_LISTED} more" if len(held) > _MOST_LISTED else ""
        raise InputError(
            f"{source} holds no series that can be a T1-weighted head ({why}{more}); name one with "
            "--series if you know better"
        )
    for what, keys in (("patients", {s.patient for s in fit}), ("studies", {s.study for s in fit})):
        if len(keys) > 1:
            raise InputError(
                f"{source} holds series of {len(keys)} {what} ({_listing(fit)}); name the folder "
                "of one, or a series with --series"
            )
    best, *rest = sorted(
        fit,
        key=lambda s: (suit(s).key(), s.about.acquired, s.number or 0, s.id),
        reverse=True,
    )
    warnings = _warnings(best)
    equal = [s for s in rest if suit(s).key() == suit(best).key()]
    if equal:
        warnings.append(
            f"{best.name} and {_listing(equal)} suit equally well; {best.name} was taken, which "
            "was acquired last."
        )
    others = [(s, reasons[s.uid] or f"it suits less well: {because(s)}") for s in held]
    return Choice(best, because(best), [o for o in others if o[0] is not best], warnings)


def _asked(source: str, held: Sequence[Series], asked: str) -> Series:
    word = asked.strip()
    fits = [s for s in held if word in (s.uid, s.id)] or [
        s for s in held if s.number is not None and word == str(s.number)
    ]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise InputError(
            f"{source} has no such series as --series asks for; it has {_listing(held)}"
        )
    raise InputError(
        f"{source} has {len(fits)} series of that number ({_listing(fits)}); name one by its id"
    )


def _listing(held: Sequence[Series]) -> str:
    more = f", and {len(held) - _MOST_LISTED} more" if len(held) > _MOST_LISTED else ""
    return ", ".join(str(s) for s in held[:_MOST_LISTED]) + more


def _warnings(series: Series) -> list[str]:
    """What is unusual about the series taken; the sentences begin with its name."""
    said = []
    reason = unsuited(series)
    if reason:
        said.append(f"{series.name} would not have been chosen: {reason}.")
    elif shown(series.about).weighting == "unknown":
        said.append(f"Nothing in {series.name}'s header says that it is T1-weighted.")
    if with_agent(series):
        said.append(
            f"{series.name} was taken with a contrast agent, which the models have not seen."
        )
    if series.about.photometric == "MONOCHROME1":
        said.append(f"{series.name} stores white as its least value; it was inverted.")
    if series.about.lossy:
        said.append(f"{series.name} was compressed with loss.")
    return [sentence[0].upper() + sentence[1:] for sentence in said]
