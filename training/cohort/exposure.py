"""What a training shows of a cohort to its network, and whom of a cohort a network has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fmtool.bundle.exposure import Exposure, Overlap, scan_digest, subject_digest
from fmtool.errors import InputError
from training.cohort import Cohort
from training.cohort.row import Row


class DescribedScan(Protocol):
    """A scan of which it is known what it holds, prepared or not."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """With "digest" of the prepared voxels, "source_sha256" of the file, or both."""


def exposure(cohort: Cohort[Any], entries: Sequence[DescribedScan], labels: bool) -> Exposure:
    """Of weights that these scans set; `labels` says whether their labels did, too."""
    scans = frozenset(d for entry in entries for d in _scans(entry))
    subjects = frozenset(subject_digest(row.subject) for row in cohort.rows if row.named)
    told = zip(cohort.rows, entries, strict=True)
    complete = all(row.named or (labels and bool(_scans(entry))) for row, entry in told)
    shown = (scans, subjects) if labels else (frozenset(), frozenset())
    return Exposure(scans, subjects, *shown, complete=complete)


def overlap(seen: Exposure, cohort: Cohort[Any], entries: Sequence[DescribedScan]) -> Overlap:
    """Whom of a cohort an encoder had seen."""
    people: dict[str, set[str]] = {}
    for row, entry in zip(cohort.rows, entries, strict=True):
        people.setdefault(_who(row), set()).update(_scans(entry))
    return seen.overlap(people)


def refuse_labelled(
    found: Overlap, cohort: Cohort[Any], what: str, weights: str = "encoder"
) -> None:
    """Refuse to judge by people whose labels set the weights of the encoder, or of a head.

    Args:
        found: see `overlap`.
        cohort: who would be judged by.
        what: they are, such as "the test part".
        weights: whose they set, in a word.

    Raises:
        InputError: with their number and what to do.
    """
    if found.labels:
        raise InputError(
            f"{cohort.path}: the labels of {found.labels} of the {found.of} subjects of {what} have"
            f" trained this {weights}, so no figure of them would hold for new people; leave them "
            f"out of the table, or start from another {weights} that has not learnt from them (if "
            "they only share their names with others, tell them apart in a column `subject`)"
        )


def _who(row: Row) -> str:
    return subject_digest(row.subject)


def _scans(entry: DescribedScan) -> list[str]:
    """By the prepared voxels and, from a store, by the file's bytes, which no version changes."""
    contents = (entry.facts.get(key) for key in ("digest", "source_sha256"))
    return [scan_digest(str(content)) for content in contents if content]
