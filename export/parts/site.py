"""What calibrating a head at a site found, in sentences: for the card, the terminal, the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtool.task import Task


def sentences(task: Task, evidence: Mapping[str, Any]) -> list[str]:
    """What the site's controls said of the head, and what was made of it.

    Args:
        task: the head's.
        evidence: of the child's head, with its "site".
    """
    site = evidence["site"]
    return _classes(task, site) if task.classes else _regression(task, evidence, site)


def _regression(task: Task, evidence: Mapping[str, Any], site: Mapping[str, Any]) -> list[str]:
    unit, before, after = task.unit, site["before"], site["after"]
    low, high = site["mean_error_interval"]
    off = f"truth less value, 95 % interval {low:.2g} to {high:.2g} {unit}"
    if site["slope_interval"]:
        least, most = site["slope_interval"]
        off += f"; slope {least:.2g} to {most:.2g}"
    found = "is already in agreement" if site["kind"] == "agreement" else "differs"
    said = f"The site {found} ({off}): "
    if site["kept"]:
        said += (
            f"values are multiplied by {site['slope']:.3g} and {site['offset']:+.3g} {unit} is "
            f"added, which is {100 * site['kept']:.0f} % of the line through its controls."
        )
    else:
        said += "values stay as they are."
    better = (
        "the head is better"
        if evidence["beats_baseline"]
        else "the head is not shown to be better"
        if evidence["value"] < evidence["baseline"]
        else "the site's own mean is better"
    )
    return [
        said,
        f"MAE at the site {before['value']:.3g} {unit} before, {after['value']:.3g} after; the "
        f"site's own mean {evidence['baseline']:.3g}: {better}.",
        f"Intervals held {_share(before['coverage'])} of the site's scans before, "
        f"{_share(after['coverage'])} after, each made without its subject.",
    ]


def _classes(task: Task, site: Mapping[str, Any]) -> list[str]:
    names = task.classes or ()
    before, after = site["before"], site["after"]
    loss = f"log loss {before['log_loss']:.3f} before, {after['log_loss']:.3f} after"
    if site["kind"] == "agreement":
        said = f"The site is already in agreement ({loss}): the parent's probabilities stay."
    else:
        prior = site["prior"]
        shares = dict(zip(names, prior, strict=True) if len(names) > 2 else ((names[1], prior),))
        told = ", ".join(f"{name} has a share of {100 * p:.0f} %" for name, p in shares.items())
        said = f"The probabilities are the site's own ({loss}), of which {told}."
    held, then = (
        " and ".join(f"{name} {_share(by and by[str(c)])}" for c, name in enumerate(names))
        for by in (before["coverage"], after["coverage"])
    )
    return [
        said,
        f"Sets held the class of {held} before, {then} after, each made without its subject.",
    ]


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{100 * value:.0f} %"
