"""Exposure: which scans and whose labels set an encoder's weights, as digests that travel with it.

A figure of people whom the encoder has seen is no figure of new people. What was seen is therefore
kept beside the weights, in the heads fitted on them and in the bundle, and compared with whoever is
to be tested. Digests tell whether a scan or a subject that one has at hand was among them, and name
nobody; whoever guesses a subject's name right can tell, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fmtool import plain_json
from fmtool.errors import BundleError

if TYPE_CHECKING:
    from fmtool.bundle import Bundle

FILE = "exposure.json"
"""Its usual name inside a bundle."""

_DIGEST = re.compile(r"[0-9a-f]{16}")
_SETS = ("scans", "subjects", "labelled_scans", "labelled_subjects")


def scan_digest(content: str) -> str:
    """Of a scan, from the SHA-256 of its file or of what it was prepared to."""
    return _digest("scan", content)


def subject_digest(name: str) -> str:
    """Of a subject's name; `sub-` and case make no difference."""
    return _digest("subject", name.removeprefix("sub-").casefold())


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Exposure:
    """What has set weights.

    Attributes:
        scans: digests of the scans whose images did.
        subjects: digests of the people whom these show.
        labelled_scans: of those whose labels did, too.
        labelled_subjects: the people whom these show.
        complete: whether that is all; False of weights from elsewhere, and of nameless people.
    """

    scans: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    labelled_scans: frozenset[str] = frozenset()
    labelled_subjects: frozenset[str] = frozenset()
    complete: bool = True

    def __or__(self, other: Exposure) -> Exposure:
        sets = {name: getattr(self, name) | getattr(other, name) for name in _SETS}
        return Exposure(**sets, complete=self.complete and other.complete)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, sorted."""
        return {n: sorted(getattr(self, n)) for n in _SETS} | {"complete": self.complete}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Exposure:
        """The inverse of `to_dict`; nothing is known where there is None.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        if data is None:
            return UNKNOWN
        for name in _SETS:
            if not all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in data[name]):
                raise ValueError(f"{name} holds what is no digest")
        if type(data["complete"]) is not bool:
            raise ValueError("complete must be true or false")
        return cls(**{n: frozenset(data[n]) for n in _SETS}, complete=data["complete"])

    def overlap(self, people: Mapping[str, Iterable[str]]) -> Overlap:
        """Who of `people`, a subject's digest -> the digests of their scans, was seen."""
        known = {who: frozenset(scans) for who, scans in people.items()}

        def count(subjects: frozenset[str], scans: frozenset[str]) -> int:
            return sum(who in subjects or bool(own & scans) for who, own in known.items())

        images = count(self.subjects, self.scans)
        labels = count(self.labelled_subjects, self.labelled_scans)
        return Overlap(images, labels, len(known), self.complete)


UNKNOWN = Exposure(complete=False)
"""Of weights that come without a word."""


@dataclass(frozen=True)
class BundleExposure:
    """What has set a bundle's weights; `bytes()` gives its file.

    Attributes:
        encoder: the encoder's; of several, all of theirs.
        tasks: the encoder's and a head's, by task.
        encoders: where there are several encoders, that of each head's own, by task.
    """

    encoder: Exposure = UNKNOWN
    tasks: Mapping[str, Exposure] = field(default_factory=dict)
    encoders: Mapping[str, Exposure] = field(default_factory=dict)

    def __bytes__(self) -> bytes:
        found: dict[str, Any] = {"encoder": self.encoder.to_dict()}
        for key, by_task in (("tasks", self.tasks), ("encoders", self.encoders)):
            if by_task or key == "tasks":
                found[key] = {name: seen.to_dict() for name, seen in by_task.items()}
        return (json.dumps(found) + "\n").encode()

    def below(self, task: str) -> Exposure:
        """What has set the weights of the encoder that a head reads."""
        return self.encoders.get(task, self.encoder)

    def learnt_from(self, task: str, contents: Iterable[str]) -> bool:
        """Whether the label of a scan with one of these SHA-256 has set a head's weights."""
        seen = self.below(task).labelled_scans | self.tasks.get(task, UNKNOWN).labelled_scans
        return any(scan_digest(content) in seen for content in contents)

    @property
    def knows_labelled(self) -> bool:
        """Whether any scan is known whose label has set weights."""
        return any(seen.labelled_scans for seen in (self.encoder, *self.tasks.values()))

    def of(self, task: str) -> Exposure:
        """What has set the encoder's weights or the head's; not known of a head without a word."""
        return self.below(task) | self.tasks.get(task, UNKNOWN)


def read(bundle: Bundle) -> BundleExposure:
    """What has set a bundle's weights; nothing is known of a bundle without the file.

    Raises:
        BundleError: if the file is damaged.
    """
    name = bundle.manifest.exposure
    if name is None:
        return BundleExposure()
    try:
        content = plain_json.loads(bundle.read(name))
        of_heads, of_encoders = (
            {task: Exposure.from_dict(data) for task, data in by_task.items()}
            for by_task in (content["tasks"], content.get("encoders", {}))
        )
        return BundleExposure(Exposure.from_dict(content["encoder"]), of_heads, of_encoders)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.file(name)} is damaged ({error}); export the bundle again"
        ) from None


@dataclass(frozen=True)
class Overlap:
    """How many of the people behind a figure set the encoder's weights.

    Attributes:
        images: people by their images.
        labels: people by their labels, who are among them.
        of: all the people behind the figure.
        complete: whether that can be told; see `Exposure`.
    """

    images: int
    labels: int
    of: int
    complete: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a head's evidence keeps it under "exposure"."""
        return {"images": self.images, "labels": self.labels, "of": self.of} | {
            "complete": self.complete
        }


def unseen(evidence: Mapping[str, Any]) -> bool:
    """Whether it is known that the encoder saw none of the people behind a head's figures."""
    found = evidence.get("exposure")
    return bool(found and found["complete"] and not found["images"])


def sentence(evidence: Mapping[str, Any]) -> str:
    """What the encoder had seen of those whom a head's figures are of, in words."""
    found = evidence.get("exposure")
    if found and found["images"]:
        return (
            f"The encoder had seen the images of {found['images']} of these {found['of']} subjects:"
            " on new people the head does worse than these figures, and nothing is proven."
        )
    if not found or not found["complete"]:
        return "Whether the encoder had seen these subjects is not recorded."
    return "The encoder had seen none of these subjects."
