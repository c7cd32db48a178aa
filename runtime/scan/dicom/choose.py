"""Choose one series: the one asked for, or the best-suited T1-weighted head, saying why.

`reasons` has the rules. Of series that are equal in all of them, the one acquired first is taken
(a later one may have been taken after a contrast agent), then that of the smaller number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmtool.errors import InputError
from fmtool.errors.advice import option
from runtime.scan.dicom.reasons import because, key, less, noisy, unsuited, with_agent
from runtime.scan.dicom.series import Series
from runtime.scan.dicom.weighting import shown

_MOST_LISTED = 12


@dataclass(frozen=True)
class SeriesChoice:
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


def choose(source: str, held: Sequence[Series], asked: str | None) -> SeriesChoice:
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
        return SeriesChoice(series, "it was asked for", others, _warnings(series))
    reasons = [unsuited(s) for s in held]
    fit = [s for s, why in zip(held, reasons, strict=True) if why is None]
    if not fit:
        listed = [f"{s}: {why}" for s, why in zip(held, reasons, strict=True)]
        more = f"; and {len(held) - _MOST_LISTED} more" if len(held) > _MOST_LISTED else ""
        raise InputError(
            f"{source} holds no series that can be a T1-weighted head "
            f"({'; '.join(listed[:_MOST_LISTED])}{more})"
            f"{option('; name one with --series if you know better')}"
        )
    patients = {s.patient for s in fit if s.patient}
    for what, keys in (("patients", patients), ("studies", {s.study for s in fit})):
        if len(keys) > 1:
            raise InputError(
                f"{source} holds series of {len(keys)} {what} ({_listing(fit)}); name the folder "
                f"of one{option(', or a series with --series')}"
            )
    first, *equal = _tied(fit)
    warnings = _warnings(first)
    if equal:
        later = "; ".join(f"{s.name} {_behind(s, first)}" for s in equal[:_MOST_LISTED])
        warnings.append(
            f"{first.name.capitalize()} and {_listing(equal)} suit equally well; {first.name} was "
            f"taken: {later}."
        )
    others = []
    for series, reason in zip(held, reasons, strict=True):
        if series in equal:
            reason = f"it suits as well, but {_behind(series, first)}"
        elif reason is None:
            reason = f"it suits less well: {less(series, first)}"
        if series is not first:
            others.append((series, reason))
    return SeriesChoice(first, because(first), others, warnings)


def _tied(fit: Sequence[Series]) -> list[Series]:
    """Those that no other suits better than; the one to be taken first."""
    best = max(map(key, fit))
    tied = [series for series in fit if key(series) == best]
    dated = all(series.about.acquired for series in tied)
    return sorted(
        tied,
        key=lambda s: ((dated and s.about.acquired) or ("", 0.0), s.number or 0, s.id),
    )


def _behind(series: Series, first: Series) -> str:
    """What put a series behind one that suits as well."""
    if (
        series.about.acquired
        and first.about.acquired
        and series.about.acquired > first.about.acquired
    ):
        return "was acquired later"
    return "comes later by its number" if series.number != first.number else "comes later by its id"


def _asked(source: str, held: Sequence[Series], asked: str) -> Series:
    word = asked.strip()
    fits = (
        [s for s in held if word == s.id]
        or [s for s in held if word == s.uid]
        or [s for s in held if s.number is not None and word == str(s.number)]
    )
    if not fits:
        raise InputError(f"{source} has no such series as was asked for; it has {_listing(held)}")
    if len({s.uid for s in fits}) > 1:
        raise InputError(
            f"{source} has {len(fits)} series of that number ({_listing(fits)}); name one by its id"
        )
    suited = [s for s in fits if unsuited(s) is None]  # of the volumes of one series
    return _tied(suited)[0] if suited else fits[0]


def _listing(held: Sequence[Series]) -> str:
    more = f", and {len(held) - _MOST_LISTED} more" if len(held) > _MOST_LISTED else ""
    return ", ".join(str(s) for s in held[:_MOST_LISTED]) + more


def _warnings(series: Series) -> list[str]:
    """What is unusual about the series taken; the sentences begin with its name."""
    name, said = series.name, [f"{series.name}: {remark}." for remark in series.remarks]
    reason = unsuited(series)
    if reason:
        said.append(f"{name} would not have been chosen: {reason}.")
    elif shown(series.about).weighting == "unknown":
        said.append(f"Nothing in {name}'s header says that it is T1-weighted.")
    if noisy(series):
        said.append(
            f"{name} is an MP2RAGE's uniform image, whose background is noise as bright as the "
            "head; a denoised one (UNI-DEN) is read better."
        )
    if with_agent(series):
        said.append(f"{name} was taken with a contrast agent, which the models have not seen.")
    if series.about.photometric == "MONOCHROME1":
        said.append(f"{name} stores white as its least value; it was inverted.")
    if series.about.lossy:
        said.append(f"{name} was compressed with loss.")
    return [sentence[0].upper() + sentence[1:] for sentence in said]
