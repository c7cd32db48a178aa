"""Another contrast, such as T2 or FLAIR, through an encoder that is frozen.

fmtool's preprocessing and the encoders are made for T1w. Two tables show the same people in two
contrasts; a linear probe is trained and tested on T1w, trained and tested on the other, and trained
on T1w and tested on the other: whether the frozen embedding still holds what is asked, and whether
a head that exists can be used as it is.

    python -m benchmarks.protocols.contrasts COHORT --other COHORT_T2 --name T2 --task age --out DIR

See docs/protocols/contrasts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.protocols import command, pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.scores import score, versus
from benchmarks.protocols.study import Fold, Study, folds
from benchmarks.protocols.systems import cross_validate, find, linear
from fmtool.errors import InputError, UsageError

Array = NDArray[np.float64]

QUESTION = "does another contrast pass through the frozen encoder?"
T1W = "T1w"
ENCODERS = ("LP SimCLR", "LP random")
SHOWN = ("system", "trained", "tested", "task", "value", "baseline", "beats_baseline", "versus")
REMARKS = [
    "fmtool is made for T1w: its skull stripping, registration and encoders have seen nothing "
    "else. Prepare the other contrast outside (rigidly onto the same person's T1w, with that "
    "scan's transform and mask) and give it with mask_path.",
    "versus: against trained and tested on T1w, paired by subject. Both contrasts have the same "
    "folds: nobody is tested by a head that saw them in either contrast.",
    "A head trained on T1w and tested on the other contrast shows what a wrong sequence does at "
    "the scanner; it is no use that fmtool supports.",
]


def aligned(t1: Study, other: Study) -> tuple[Study, Study, int]:
    """The subjects whom both show, in one order, and how many scans of either are left out.

    Raises:
        InputError: for a subject with two scans of one contrast or two labels, or if nobody is in
            both.
    """
    places = [_by_subject(study) for study in (t1, other)]
    names = sorted(places[0].keys() & places[1].keys())
    if not names:
        raise InputError(f"{t1.name} and {other.name} share no subject; the two need equal names")
    picked = [np.array([place[n] for n in names], dtype=np.intp) for place in places]
    first, second = t1.take(picked[0]), other.take(picked[1])
    for name, a, b in zip(names, first.labels, second.labels, strict=True):
        if a != b:
            raise InputError(
                f"{t1.task.label} of {name} is {a:g} in {t1.name} and {b:g} in {other.name}"
            )
    return first, second, len(t1.rows) + len(other.rows) - 2 * len(names)


def run(
    pairs: Sequence[tuple[Study, Study]], bench: Bench, name: str, count: int = 5, seed: int = 42
) -> ProtocolReport:
    """Rows per task, encoder, and contrasts of training and test.

    Args:
        pairs: per task, T1w and the other contrast.
        bench: its encoder is pretrained on its pool, or on the T1w scans.
        name: of the other contrast.
        seed: of folds, first weights and intervals.

    Raises:
        UsageError: if the other contrast is called T1w.
        InputError: see `aligned`.
    """
    if name == T1W:
        raise UsageError("the other contrast cannot be called T1w, too; give --name")
    rows, left_out = [], 0
    for t1, other in pairs:
        first, second, left_out = aligned(t1, other)
        rows += _rows(first, second, bench, name, count, seed)
    about = command.facts(bench, first, seed, folds=count, other=other.name, contrast=name)
    remarks = [bench.pretraining_sentence(), *REMARKS]
    if left_out:
        remarks.append(f"{left_out} scans are left out: their subjects are not in both tables.")
    return ProtocolReport("contrasts", QUESTION, about, rows, remarks)


def _rows(
    t1: Study, other: Study, bench: Bench, name: str, count: int, seed: int
) -> list[dict[str, Any]]:
    plan, rows = folds(t1, count, seed), []
    fixed = cross_validate(find("constant"), bench, t1, plan, seed)
    for system in ENCODERS:
        predicted: dict[tuple[str, str], Array] = {
            way: np.full(len(t1.rows), np.nan) for way in ((T1W, T1W), (name, name), (T1W, name))
        }
        for fold in plan:
            encoder = _encoder(system, bench, t1, fold, seed)
            x = {T1W: bench.embed(encoder, t1), name: bench.embed(encoder, other)}
            for trained, tested in predicted:
                predicted[trained, tested][fold.test] = _across(x[trained], x[tested], t1, fold)
        base = predicted[T1W, T1W]
        for (trained, tested), found in predicted.items():
            row = score(t1, system, found, fixed, [plan], trained=trained, tested=tested)
            rows.append(row if found is base else {**row, **versus(t1, found, base, [plan])})
        command.tell(f"{system} for {t1.task.name} is done")
    return rows


def _encoder(system: str, bench: Bench, t1: Study, fold: Fold, seed: int) -> nn.Module:
    if system == "LP random":
        return pretrained.fresh("resnet18", bench.size, seed).eval()
    return bench.simclr(t1, fold, seed)


def _across(x: Array, other: Array, study: Study, fold: Fold) -> Array:
    """Fit on the fold's subjects by x, predict its test subjects by `other`."""
    mixed = x.copy()
    mixed[fold.test] = other[fold.test]
    return linear(mixed, study, fold)


def _by_subject(study: Study) -> dict[str, int]:
    found: dict[str, int] = {}
    for i, row in enumerate(study.rows):
        if row.subject in found:
            raise InputError(
                f"{study.name} line {row.line}: {row.subject} has a second scan; "
                "this protocol compares one scan of each contrast per subject"
            )
        found[row.subject] = i
    return found


def main() -> None:
    """Parse, embed both, probe, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--other", type=Path, required=True, help="the same people, other contrast")
    parser.add_argument("--name", default="other", help="of the contrast, such as T2")
    args = parser.parse_args()
    bench, pairs = command.bench(args), []
    for task in args.task or ("age", "sex"):
        t1 = command.study(args, task)
        other = command.study(args, task, args.other)
        pairs.append((t1, replace(other, name=f"{args.other.parent.name}/{other.name}")))
    report = run(pairs, bench, args.name, args.folds, args.seed)
    shown = [
        {**r, "system": f"{r['system']}, {r['trained']} to {r['tested']}"} for r in report.rows
    ]
    report.write(args.out, forest(shown, report.title))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
