"""What each augmentation is worth: SimCLR without one of them, in turn, and with one more.

Every variant starts from the same weights and draws the same numbers for the parts it keeps. One
adds the paper's intensity shift, v' = v + s, which must change nothing: the masked z-score that
follows, (v' - mean(v')) / sd(v') inside the brain, removes s; gamma, which works on the range
between the least and the largest intensity, moves with it. What is left is rounding, which
training amplifies. How much is shown by a control that changes nothing but rounding either: the
whole recipe on intensities that were multiplied by 1.5.

    python -m benchmarks.protocols.ablation COHORT --task age --out DIR

See docs/protocols/ablation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.protocols import command, pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.scores import score, versus
from benchmarks.protocols.study import Study, folds
from benchmarks.protocols.systems import cross_validate, find, probed
from fmtool.errors import UsageError
from training.augment import SimCLRAugment
from training.cohort.prepared import PreparedScan
from training.fit.recipe import generator

WHOLE, SHIFT, CONTROL = "all", "with shift", "all, intensities x 1.5"


@dataclass(frozen=True)
class Scaled:
    """A prepared scan in another unit of intensity."""

    entry: PreparedScan

    @property
    def volume(self) -> NDArray[np.float32]:
        """One and a half times the scan's; not a power of two, so that all digits change."""
        return np.asarray(self.entry.volume * np.float32(1.5))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The scan's."""
        return self.entry.mask

    @property
    def facts(self) -> dict[str, Any]:
        """The scan's, with a digest of its own."""
        return {**self.entry.facts, "digest": f"{self.entry.facts['digest']} x 1.5"}


def variants(full: SimCLRAugment) -> dict[str, SimCLRAugment]:
    """The recipe, without each of its parts, with the shift; and again, for the control."""
    parts = sorted(full.parts - {"shift"})
    without = {f"without {part}": replace(full, parts=full.parts - {part}) for part in parts}
    shifted = replace(full, parts=full.parts | {"shift"})
    return {WHOLE: full, **without, SHIFT: shifted, CONTROL: full}


def shift_change(
    entries: Sequence[PreparedScan], full: SimCLRAugment, seed: int, views: int
) -> float:
    """The largest relative difference |v - v'| / |v| of views without and with the shift.

    Args:
        entries: scans, taken in turn.
        seed: of the views; both draw the same numbers.
        views: how many pairs.
    """
    shifted = variants(full)[SHIFT]
    worst = 0.0
    for view in range(views):
        entry = entries[view % len(entries)]
        volume, mask = (torch.from_numpy(np.array(a)) for a in (entry.volume, entry.mask))
        one, other = (how(volume, mask, generator(seed, view)) for how in (full, shifted))
        worst = max(worst, float((one - other).norm() / one.norm()))
    return worst


QUESTION = "what is each augmentation worth to a probe?"
SHOWN = ("system", "task", "metric", "value", "versus", "loss", "first_change", "same_steps")
_SAME = 1e-4  # of a loss near 2; the steps of a variant that is none differ by a hundred times that


def run(studies: Sequence[Study], bench: Bench, count: int = 5, seed: int = 42) -> ProtocolReport:
    """A row per task and variant: a probe of its encoder, against that of the whole recipe.

    Encoders are pretrained once, on `bench.pool` or all of the study's scans.

    Raises:
        UsageError: for encoders from outside, or a pretraining per fold.
    """
    if bench.given or (bench.pool is None and not bench.transductive):
        raise UsageError(
            "the ablation pretrains once per variant: without --simclr, and on another cohort "
            "(--pretrain) where the test scans' images must stay unseen"
        )
    pool = list(studies[0].entries if bench.pool is None else bench.pool)
    settings, full = bench.size.pretraining(seed), bench.size.augment
    plans = {study.task.name: folds(study, count, seed) for study in studies}
    predictions, losses = {}, {}
    made = variants(full)
    scaled = [Scaled(entry) for entry in pool]
    for name, augment in made.items():
        scans = scaled if name == CONTROL else pool
        recipe = pretrained.simclr(bench.size, seed, augment)
        encoder = pretrained.encoder(recipe, scans, settings, bench.cache)
        first = pretrained.simclr(bench.size, seed, augment)
        losses[name] = pretrained.losses(first, scans, settings, bench.cache)
        for study in studies:
            x = bench.embed(encoder, study)
            predictions[study.task.name, name] = probed(x, study, plans[study.task.name])
        command.tell(f"{name} is done")
    rows = []
    for study in studies:
        plan = plans[study.task.name]
        baseline = cross_validate(find("constant"), bench, study, plan, seed)
        whole = predictions[study.task.name, WHOLE]
        for name in made:
            found = predictions[study.task.name, name]
            row = score(study, name, found, baseline, [plan], folds=count)
            row |= versus(study, found, whole, [plan], len(studies) * (len(made) - 1))
            rows.append({**row, **_loss(losses[name], losses[WHOLE], len(pool), settings.batch)})
    change = shift_change(pool, full, seed, max(16, len(pool)))
    about = command.facts(bench, studies[0], seed, folds=count, shift_view_change=change)
    return ProtocolReport(
        "ablation", QUESTION, about, rows, [about["pretraining"], *_remarks(change)]
    )


def _loss(
    own: NDArray[np.float64], whole: NDArray[np.float64], scans: int, batch: int
) -> dict[str, Any]:
    """Of the last epoch; and how long, from the first step on, it was the whole recipe's."""
    apart = np.flatnonzero(np.abs(own - whole) > _SAME)
    return {
        "loss": float(own[-(scans // batch) :].mean()),
        "first_change": float(own[0] - whole[0]),
        "same_steps": int(apart[0]) if len(apart) else len(own),
        "steps": len(own),
    }


def _remarks(change: float) -> list[str]:
    return [
        "versus: the probe against that of the whole recipe, paired by subject, its intervals for "
        "all rows and tasks at once (Bonferroni); loss: NT-Xent of the last epoch (a lower one is "
        "an easier task, not a better encoder); first_change: of "
        "the first step's loss against the whole recipe's; same_steps: how many steps from the "
        f"first have the whole recipe's loss within {_SAME:g}.",
        f"The intensity shift is null: with equal seeds its views differ by at most {change:.1e} "
        "of their norm, because the masked z-score that follows removes any constant that is "
        "added, and training starts with the same losses.",
        f"Later the two trainings part, as any two do that differ in a last bit. '{CONTROL}' does "
        "nothing by the same argument and parts likewise: what these two rows differ by from the "
        f"row '{WHOLE}' is the noise that every other row carries too.",
    ]


def main() -> None:
    """Parse, pretrain, probe, write, print."""
    args = command.parser(__doc__).parse_args()
    bench = command.bench(args)
    studies = [command.study(args, task) for task in args.task or ("age", "sex")]
    report = run(studies, bench, args.folds, args.seed)
    report.write(args.out, forest(report.rows, report.title))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
