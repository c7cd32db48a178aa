"""Several sites: what a head's evidence says of each one left out, and for which it is harmonised.

A head of several sites has `leave_one_site_out` in its evidence: of each site and of all of them,
what heads of the others reach there. One on harmonised embeddings has `harmonised`, too: by which
method, of which sites, and in a bundle under `site` the one whose scans it answers, or null where
it answers those of any site as they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fmtool.bundle.fields import need, number, pair, text, whole
from fmtool.bundle.rivals import verdict


@dataclass(frozen=True)
class SiteFigure:
    """What heads of the other sites reach at one.

    Attributes:
        name: the site's, or "all sites".
        people: "20 scans of 18 subjects"; empty of all sites.
        value, interval: the MAE or area; None where the site is too small.
        baseline, baseline_name: what knowing that very site's labels alone reaches.
        balanced: the balanced accuracy, where the task has one.
        why: there is no figure; empty where there is one.
    """

    name: str
    people: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None
    baseline: float | None = None
    baseline_name: str = ""
    balanced: float | None = None
    why: str = ""


def left_out(found: Mapping[str, Any] | None) -> Iterator[SiteFigure]:
    """A figure a site, and one of all; nothing of heads of one site.

    Args:
        found: a head's `leave_one_site_out`, or its `own_scans`.
    """
    if not found:
        return
    for site in found["sites"]:
        people = f"{site['n']} scans of {site['n_subjects']} subjects"
        yield _figure(site["site"], people, site)
    if found["pooled"]:
        yield _figure("all sites", "", found["pooled"])


def _figure(name: str, people: str, found: Mapping[str, Any]) -> SiteFigure:
    if "value" not in found:
        return SiteFigure(name, people, why=found.get("too_small", "it is too small"))
    low, high = found["interval"]
    balanced = found.get("balanced_accuracy")
    return SiteFigure(
        name,
        people,
        found["value"],
        (low, high),
        found["baseline"],
        found["baseline_name"],
        balanced["value"] if balanced else None,
    )


def harmonised(evidence: Mapping[str, Any]) -> str | None:
    """For which site's scans a head is, in a sentence; None of one that is not harmonised."""
    found = evidence.get("harmonised")
    if not found:
        return None
    method, sites = found["method"], ", ".join(found["sites"])
    if found.get("site"):
        return (
            f"The head is harmonised by {method} for scans of site {found['site']}: for another "
            "site neither its values nor its figures hold."
        )
    if "site" in found:
        return (
            f"The head was fitted on embeddings harmonised by {method} over {sites}, and answers "
            "scans as they come, harmonised to none of them: its figures are of sites left out."
        )
    kept = f", {' and '.join(found['covariates'])} kept" if found["covariates"] else ""
    return f"The head was fitted on embeddings harmonised by {method} over {sites}{kept}."


def sentences(evidence: Mapping[str, Any]) -> list[str]:
    """What harmonising did to the head and to its figures; nothing of one that is not."""
    found, said = evidence.get("harmonised"), harmonised(evidence)
    if not found or said is None:
        return []
    told, unit = [said], f" {evidence['unit']}" if evidence.get("unit") else ""
    metric = evidence.get("metric", "figure")
    small = metric == "MAE"
    if without := found.get("without"):
        told.append(
            f"Without harmonising, heads reach {metric} {without['value']:.3g}{unit} in the "
            f"cross-validation: harmonising {verdict(without, small)}."
        )
    left = evidence.get("leave_one_site_out") or {}
    if without := left.get("without"):
        told.append(
            f"At sites left out they reach {without['value']:.3g}{unit}: harmonising the others "
            f"{verdict(without, small)}."
        )
    own = left.get("own_scans") or {}
    if own.get("pooled"):
        low, high = own["pooled"]["interval"]
        told.append(
            f"Were a site left out harmonised by unlabelled scans of its own, it would be {metric} "
            f"{own['pooled']['value']:.3g}{unit} ({low:.3g} to {high:.3g}) over all sites."
        )
    together = found.get("confounding")
    if together:
        told.append(
            f"The site alone tells the label with {together['metric']} {together['value']:.2f}"
            + (": what is taken for the site's may be the label's." if together["strong"] else ".")
        )
    return told


def check(facts: Mapping[str, Any], where: str) -> None:
    """Raise ValueError for evidence whose words on sites cannot be told; whoever wrote it."""
    found = facts.get("leave_one_site_out")
    if found is not None:
        what = "figures of sites left out"
        need(isinstance(found, dict), f"{where}, leave_one_site_out", what)
        _check_figures(found, f"{where}, leave_one_site_out")
        if found.get("own_scans") is not None:
            need(isinstance(found["own_scans"], dict), f"{where}, own_scans", what)
            _check_figures(found["own_scans"], f"{where}, own_scans")
        _check_without(found, f"{where}, leave_one_site_out")
    found = facts.get("harmonised")
    if found is not None:
        fine = isinstance(found, dict) and text(found.get("method"))
        fine = fine and all(_names(found.get(key)) for key in ("sites", "covariates"))
        fine = fine and (found.get("site") is None or text(found["site"]))
        need(fine, f"{where}, harmonised", "a method, sites and covariates")
        _check_without(found, f"{where}, harmonised")
        together = found.get("confounding")
        fine = isinstance(together, dict) and text(together.get("metric"))
        fine = fine and number(together.get("value")) and type(together.get("strong")) is bool
        need(together is None or fine, f"{where}, confounding", "a metric and its value")


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(map(text, value))


def _check_without(found: Mapping[str, Any], where: str) -> None:
    without = found.get("without")
    if without is None:
        return
    fine = isinstance(without, dict) and number(without.get("value"))
    fine = fine and type(without.get("head_is_better")) is bool
    between = without.get("difference_interval") if fine else None
    fine = fine and (between is None or pair(between))
    need(fine, f"{where}, without", "a value to be compared with the head's")


def _check_figures(found: Mapping[str, Any], where: str) -> None:
    sites, pooled = found.get("sites"), found.get("pooled")
    fine = isinstance(sites, list) and all(
        isinstance(one, dict)
        and text(one.get("site"))
        and whole(one.get("n"))
        and whole(one.get("n_subjects"))
        and (_is_figure(one) if "value" in one else text(one.get("too_small", "-")))
        for one in sites
    )
    fine = fine and (pooled is None or (isinstance(pooled, dict) and _is_figure(pooled)))
    need(fine, where, "a figure of each site")


def _is_figure(found: Mapping[str, Any]) -> bool:
    fine = number(found.get("value")) and pair(found.get("interval"))
    fine = fine and number(found.get("baseline")) and text(found.get("baseline_name"))
    balanced = found.get("balanced_accuracy")
    held = isinstance(balanced, dict) and number(balanced.get("value"))
    return fine and (balanced is None or held)
