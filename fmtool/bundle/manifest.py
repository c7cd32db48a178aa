"""A bundle's manifest: read and checked once, by attributes from then on, and written as it is.

Whoever made a manifest may be hostile: everything that has an attribute is of its kind. What has
none (a field of a later version, or one for people's eyes) may be anything; it is kept in `more`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fmtool.bundle import encoder as encoder_facts
from fmtool.bundle import sites
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.fields import (
    More,
    Test,
    each,
    known,
    need,
    number,
    numbers,
    pair,
    plain,
    table,
    text,
    whole,
    words,
)
from fmtool.bundle.format import FORMAT
from fmtool.bundle.rivals import RIVALS
from fmtool.errors import BundleError, UsageError
from fmtool.errors.advice import option
from fmtool.task import Task

REQUIRED = ("name", "encoder", "tasks", "model", "strip", "template", "self_test", "files")

MAX_BYTES = 16 << 20
"""No manifest may be larger: checked before it is read."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileFacts:
    """What a file of the bundle must be: its SHA-256 in hexadecimal, and its size."""

    sha256: str
    bytes: int
    more: More = field(default_factory=dict)


@dataclass(frozen=True)
class TaskEntry:
    """A head.

    Attributes:
        task: the question; the model's output is called by its name.
        evidence: how well the head did, and against what; see `training.evidence`.
        map: the output that is its attribution map; None where there is none.
        thresholds: of an ordinal task, on its score; see `runtime.trust.ordinal`.
    """

    task: Task
    evidence: dict[str, Any]
    map: str | None = None
    more: More = field(default_factory=dict)
    thresholds: Sequence[float] | None = None

    @classmethod
    def from_dict(cls, data: Any, where: str) -> TaskEntry:
        """See `Manifest.from_dict`; `where` says which task it is."""
        try:
            task = Task.from_dict(data)
        except ValueError as error:
            raise ValueError(f"{where} cannot be: {error}") from None
        name = data.get("map") or None
        need(name is None or text(name), f"{where}, map", "the name of an output")
        evidence = table(data.get("evidence", {}), f"{where}, evidence")
        _evidence(evidence, f"{where}, evidence")
        parts = data.get("thresholds")
        fine = parts is None or numbers(parts)
        what = "numbers that rise, one fewer than the classes of an ordinal task, and of no other"
        need(fine and task.parted_by(parts), f"{where}, thresholds", what)
        own = {*Task.__dataclass_fields__, "evidence", "output", "map", "thresholds"}
        more = {key: value for key, value in data.items() if key not in own}
        return cls(task, evidence, name, more, parts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        own: dict[str, Any] = {
            "evidence": self.evidence,
            "output": self.task.name,
            "map": self.map,
        }
        if self.thresholds is not None:
            own["thresholds"] = list(self.thresholds)
        return {**self.task.to_dict(), **own, **self.more}


@dataclass(frozen=True)
class ParentBundle:
    """The bundle that a child was made from: its name, its digest, and what was made of it."""

    name: str
    digest: str
    made: str
    more: More = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Any) -> ParentBundle:
        """See `Manifest.from_dict`."""
        given = known(cls, table(data, "parent"))
        fine = all(text(given.get(key)) for key in ("name", "digest", "made"))
        fine = fine and bool(_SHA256.fullmatch(given["digest"]))
        need(fine, "parent", "a name, a digest and what was made")
        return cls(**given)


@dataclass(frozen=True)
class StripFiles:
    """The skull-stripping networks' files, and whatever `more` files there are by name."""

    locate: str
    segment: str
    more: More = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """What an engine must reproduce on the template.

    Attributes:
        outputs: float32 torch's numbers, by output.
        tolerance: the largest relative difference, by what the engine computes in.
        by_task: the largest difference in a task's unit, by what the engine computes in.
    """

    outputs: Mapping[str, Sequence[float]]
    tolerance: Mapping[str, float]
    by_task: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    more: More = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Any, encoders: Sequence[EncoderFacts]) -> Expected:
        """See `Manifest.from_dict`."""
        facts = table(data, "self_test")
        outputs = table(facts.pop("outputs", None), "self_test, outputs")
        need(each(outputs, numbers), "self_test, outputs", "numbers by output")
        for name, features in ((e.embedding, e.features) for e in encoders):
            fine = len(outputs.get(name, [0.0] * features)) == features
            what = f"{features} numbers, as many as the features"
            need(fine, f"self_test, outputs, {name:.60}", what)
        given = facts.pop("tolerance", None)
        tolerance: dict[str, Any] = dict(given) if isinstance(given, dict) else {"": None}
        by_task = tolerance.pop("tasks", {})
        fine = each(by_task, lambda task: each(task, number)) and each(tolerance, number)
        need(fine, "self_test, tolerance", "numbers by precision")
        return cls(outputs, tolerance, by_task, facts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        tolerance = {**self.tolerance, "tasks": self.by_task}
        return {"outputs": self.outputs, "tolerance": tolerance, **self.more}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that a bundle says of itself; what older versions lack has a neutral value.

    `trust`, `robustness`, `exposure`, `reference` and `parent`, and of a task's evidence `trust`,
    `exposure`, `smoothed_scan`, `leave_one_site_out`, `harmonised` and `label_quartiles`, have
    none: a head that was not calibrated gives no interval, whatever fmtool reads it, a bundle that
    was not measured says nothing of how far it moves, and whom its encoder has seen is then not
    known.

    Attributes:
        format: as it was read; see `fmtool.bundle.format`.
        name: the bundle's own.
        created: the day.
        fmtool: the version that wrote it.
        encoders: the network below the heads; or several, each below heads of its own.
        tasks: the heads, by name.
        model: the ONNX file, by precision.
        parity: how far each model was from torch when it was exported, by precision.
        strip: the skull-stripping networks.
        template: the file of the registration's template, which is also the self-test's volume.
        trust: the file of the heads' intervals, calibration and novelty.
        self_test: what an engine must reproduce.
        calibration: the cohort's smallest and largest usual value of each check, by key.
        demonstration: whether its values are for show only.
        limits: sentences about the sample.
        robustness: the file of how far the outputs move.
        exposure: the file of whose scans and labels set the weights.
        reference: the file of what a site's scans looked like, by which drift is noticed.
        parent: the bundle that this one was calibrated from, or got its encoder from.
        files: every file but the manifest, by path.
    """

    format: str | int = FORMAT
    name: str
    created: str = ""
    fmtool: str = ""
    encoders: Sequence[EncoderFacts]
    tasks: Mapping[str, TaskEntry]
    model: Mapping[str, str]
    parity: Mapping[str, Any] = field(default_factory=dict)
    strip: StripFiles
    template: str
    trust: str | None = None
    self_test: Expected
    calibration: Mapping[str, list[float]] = field(default_factory=dict)
    demonstration: bool = False
    limits: Sequence[str] = ()
    robustness: str | None = None
    exposure: str | None = None
    reference: str | None = None
    parent: ParentBundle | None = None
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    more: More = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_dict`.

        Raises:
            ValueError: for the first field that is not of its kind, naming it.
        """
        missing = [key for key in REQUIRED if key not in data]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        given = known(cls, data)
        need(text(given["name"]), "name", "a name")
        for key in ("created", "fmtool"):
            need(words(given.get(key, "")), key, "words")
        given["files"] = _files(given["files"])
        heads = _tasks(given["tasks"])
        encoders = encoder_facts.read(given["more"].pop("encoder"), heads)
        for key in ("model", "strip"):
            need(each(given[key], text), key, "names of files")
        fine = {"locate", "segment"} <= given["strip"].keys()
        need(fine, "strip", "files to locate and segment")
        given["strip"] = StripFiles(**known(StripFiles, given["strip"]))
        need(text(given["template"]), "template", "the name of a file")
        for key in ("trust", "robustness", "exposure", "reference"):
            need(text(given.get(key, "-")), key, "the name of a file")
        given["self_test"] = Expected.from_dict(given["self_test"], encoders)
        ranges = given.get("calibration", {})
        need(each(ranges, pair), "calibration", "pairs of numbers, the smaller one first")
        given["parity"] = table(given.get("parity", {}), "parity")
        need(type(given.get("demonstration", False)) is bool, "demonstration", "true or false")
        limits = given.get("limits", [])
        need(isinstance(limits, list) and all(map(text, limits)), "limits", "sentences")
        if "parent" in given:
            given["parent"] = ParentBundle.from_dict(given["parent"])
        return cls(**given | {"encoders": encoders, "tasks": heads})

    @property
    def encoder(self) -> EncoderFacts:
        """The only encoder; UsageError of a bundle with several, of which none is meant more."""
        if len(self.encoders) > 1:
            heads = ", ".join(" and ".join(e.tasks or ["none"]) for e in self.encoders)
            raise UsageError(
                f"bundle {self.name:.60} has {len(self.encoders)} encoders, of the heads {heads}, "
                "and which is meant is not said: name one of these heads"
                f"{option(' (--encoder-of)')}"
            )
        return self.encoders[0]

    def encoder_of(self, task: str) -> EncoderFacts:
        """The encoder that a head reads."""
        for one in self.encoders:
            if one.tasks is None or task in one.tasks:
                return one
        raise BundleError(f"bundle {self.name:.60} has no head of {task!r:.60}")

    def columns(self, encoder: EncoderFacts) -> slice:
        """Where an encoder's features stand in a result's embedding: one after the other."""
        before = self.encoders[: self.encoders.index(encoder)]
        first = sum(e.features for e in before)
        return slice(first, first + encoder.features)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        own = plain(self)
        del own["encoders"]
        return own | {
            "encoder": encoder_facts.to_json(self.encoders),
            "tasks": [entry.to_dict() for entry in self.tasks.values()],
            "strip": plain(self.strip),
            "self_test": self.self_test.to_dict(),
            "limits": list(self.limits),
            "files": {name: plain(facts) for name, facts in self.files.items()},
            **({"parent": plain(self.parent)} if self.parent else {}),
        }


def _files(data: Any) -> dict[str, FileFacts]:
    found = {}
    for name, facts in table(data, "files").items():
        fine = isinstance(facts, dict) and whole(facts.get("bytes"))
        fine = fine and text(facts.get("sha256")) and bool(_SHA256.fullmatch(facts["sha256"]))
        need(fine, f"files, {name:.60}", "a SHA-256 and a size")
        found[name] = FileFacts(**known(FileFacts, facts))
    return found


def _tasks(entries: Any) -> dict[str, TaskEntry]:
    need(isinstance(entries, list), "tasks", "a list")
    found: dict[str, TaskEntry] = {}
    for count, data in enumerate(entries, 1):
        where = f"tasks, number {count}"
        entry = TaskEntry.from_dict(data, where)
        need(entry.task.name not in found, where, "named otherwise than the one before")
        found[entry.task.name] = entry
    return found


_WORDS = ("metric", "baseline_name", "sample", "how")
_NUMBERS = ("value", "baseline", "residual_sd")
_PAIRS = ("interval", "difference_interval", "label_range")


def _evidence(facts: dict[str, Any], where: str) -> None:
    kinds: list[tuple[tuple[str, ...], Test, str]] = [
        (_WORDS, text, "words"),
        (_NUMBERS, number, "a number"),
        (_PAIRS, pair, "two numbers, the smaller one first"),
        (("unit",), words, "a unit"),
        (("beats_baseline",), lambda v: type(v) is bool, "true or false"),
        (("label_quartiles",), numbers, "numbers"),
    ]
    for keys, test, what in kinds:
        for key in keys:
            if facts.get(key) is not None:
                need(test(facts[key]), f"{where}, {key}", what)
    if facts.get("beats_baseline") is False:
        need("baseline_name" in facts, where, "with a baseline_name")
    seen = facts.get("exposure")
    if seen is not None:
        fine = isinstance(seen, dict) and type(seen.get("complete")) is bool
        fine = fine and all(whole(seen.get(key)) for key in ("images", "labels", "of"))
        need(fine, f"{where}, exposure", "how many of how many people were seen")
    for key in RIVALS:
        rival = facts.get(key)
        if rival is not None:
            fine = isinstance(rival, dict) and number(rival.get("value"))
            fine = fine and type(rival.get("head_is_better")) is bool
            between = rival.get("difference_interval") if fine else None
            fine = fine and (between is None or pair(between))
            fine = fine and number(facts.get("value")) and text(facts.get("metric"))
            need(fine, f"{where}, {key}", "a value to be compared with the head's")
    sites.check(facts, where)
