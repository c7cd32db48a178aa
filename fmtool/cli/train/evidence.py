"""Evidence as a table for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtool.bundle import exposure, sites
from fmtool.bundle.rivals import Rival, rivals
from fmtool.cli import console

if TYPE_CHECKING:
    from runtime.report.rows import Record
    from training.evidence.head import Head
    from training.runs.labelled import Trained
    from training.runs.run import LabelledTask


def show(head: Head, name: str, out: Path, place: Path, drawn: Sequence[Record] = ()) -> None:
    """A head's evidence on a terminal, and where it is.

    Args:
        head: that was fitted.
        name: of the training.
        out: what it wrote.
        place: what its out-of-fold predictions stand beside: `out`, or the head in it.
        drawn: these predictions, if there is to be a figure of them.
    """
    from training.evidence import out_of_fold
    from training.evidence.plot import draw

    console.table(table(head.task.name, head.evidence, name))
    console.put(str(out))
    console.put(str(out_of_fold.beside(place)))
    for path in draw(place, drawn, head.task, head.evidence) if drawn else ():
        console.put(str(path))


def show_all(
    trained: Sequence[Trained], name: str, out: Path, asked: LabelledTask, plot: bool
) -> None:
    """`show` of each task that was trained; of none where another process speaks."""
    for one in trained:
        place = out / asked.head_of(one.head.task.name)
        show(one.head, name, out, place, one.rows if plot else ())


def table(task: str, evidence: dict[str, Any], name: str) -> Any:
    """A rich table: what was trained, called `name`, beside its baselines."""
    from rich.table import Table

    unit = f" {evidence['unit']}" if evidence["unit"] else ""
    low, high = evidence["interval"]
    table = Table("", evidence["metric"], "95 % interval", title=f"{task}: {evidence['sample']}")
    table.add_row(name, f"{evidence['value']:.3f}{unit}", f"{low:.3f} to {high:.3f}")
    table.add_row(evidence["baseline_name"], f"{evidence['baseline']:.3f}{unit}", "")
    for row in _of_sites(evidence, unit):
        table.add_row(*row)
    if "balanced_accuracy" in evidence:
        balanced = evidence["balanced_accuracy"]
        low, high = balanced["interval"]
        table.add_row("balanced accuracy", f"{balanced['value']:.3f}", f"{low:.3f} to {high:.3f}")
        table.add_row("of the largest class", f"{balanced['majority']:.3f}", "")
        for name, one in evidence["recall"].items():
            low, high = one["interval"]
            table.add_row(f"told {name}", f"{one['value']:.3f}", f"{low:.3f} to {high:.3f}")
    if "classes_off" in evidence:
        for name, key in (("MAE, in classes", "classes_off"), ("weighted kappa", "kappa")):
            low, high = evidence[key]["interval"]
            table.add_row(name, f"{evidence[key]['value']:.3f}", f"{low:.3f} to {high:.3f}")
        off = evidence["classes_off"]["median"]
        table.add_row("MAE of the median class", f"{off:.3f}", "")
    beats = evidence["beats_baseline"]
    said = [f"{'beats' if beats else 'does not beat'} its baseline: {evidence['baseline_name']}"]
    for rival in rivals(evidence):
        measured = rival.value is not None
        table.add_row(rival.name, f"{rival.value:.3f}{unit}" if measured else "not measured", "")
        said += [f"{rival.verdict} than {rival.name}{_between(rival)}"] if measured else []
    if evidence.get("repeats", 1) > 1:
        said.append(textwrap.fill(_repeated(evidence), 72))
    said.append(textwrap.fill(exposure.sentence(evidence), 72))
    said += [textwrap.fill(sentence, 72) for sentence in sites.sentences(evidence)]
    if "covariates" in evidence:
        said.append(textwrap.fill(evidence["covariates"]["said"], 72))
    said += limits(evidence["trust"], evidence["unit"])
    table.caption = "\n".join(said)
    return table


def _between(rival: Rival) -> str:
    """The paired difference's interval, in brackets."""
    if rival.interval is None:
        return ""
    low, high = rival.interval
    return f" ({low:+.3f} to {high:+.3f})"


def _repeated(evidence: dict[str, Any]) -> str:
    """Why a figure of one's own, from the out-of-fold table, is another one."""
    times = f"{evidence['repeats']} cross-validations of {evidence['folds']} folds"
    first = "the out-of-fold table has the values of the first"
    if evidence["metric"] == "MAE":
        return f"mean over {times}; {first}, and each scan's mean error over all"
    return f"mean over {times}, counted within folds; {first}: pooled, they give another figure"


def _of_sites(evidence: dict[str, Any], unit: str) -> list[tuple[str, str, str]]:
    """A row for each site that is left out, with that site's own constant, and one for all."""
    from rich.markup import escape

    found = []
    for one in sites.left_out(evidence.get("leave_one_site_out")):
        name = f"{escape(one.name)} left out" + (f" ({one.people})" if one.people else ", pooled")
        if one.value is None or one.interval is None:
            found.append((name, "too small", ""))
            continue
        low, high = one.interval
        found.append((name, f"{one.value:.3f}{unit}", f"{low:.3f} to {high:.3f}"))
        found.append((f"  {one.baseline_name}", f"{one.baseline:.3f}{unit}", ""))
        if one.balanced is not None:
            found.append(("  balanced accuracy", f"{one.balanced:.3f}", ""))
    return found


def limits(trust: dict[str, Any], unit: str) -> list[str]:
    """What was found of the head's limits, a line each; see `training.evidence.trust`."""
    level, method = f"{100 * trust['level']:.0f} %", trust["method"]
    said = []
    if "probability" in trust:
        said.append(
            f"probabilities by {trust['probability']}; {level} prediction sets, {method}: "
            f"{100 * trust['one_class']:.0f} % name one class, out of fold"
        )
        shares = trust.get("shares") or [trust["prevalence"]]
        told = ", ".join(
            f"{100 * share:.0f} % are class {c}" for c, share in enumerate(shares, len(shares) == 1)
        )
        said.append(f"the probabilities hold where {told}")
        for side in ("sensitivity", "specificity"):
            if side in trust:
                low, high = trust[side]["interval"]
                value = trust[side]["value"]
                said.append(f"{side} {value:.2f} ({low:.2f} to {high:.2f}), out of fold")
    elif trust.get("width") is not None:
        said.append(f"{level} intervals, {method}: {trust['width']:.3g} {unit} wide (median)")
        slope = trust["slope"]
        said.append(
            "regression to the mean: too little slope to correct"
            if slope is None
            else f"regression to the mean: slope {slope:.2f}, corrected values are given beside"
        )
        if trust.get("corrected_mae") is not None:
            said[-1] += f", MAE {trust['corrected_mae']:.3g} {unit}"
    else:
        said.append(f"no {level} limits: {trust['subjects']} subjects are too few or of one class")
    if trust["novelty"] is not None:
        said.append(f"novelty: p-values from {trust['novelty']:.2g}")
    return said
