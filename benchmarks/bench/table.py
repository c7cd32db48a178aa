"""A report as tables: for a terminal (rich) and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.bench.columns import Column

Report = dict[str, Any]
_WORD = re.compile(r"\S{1,9}")


@dataclass(frozen=True)
class Sheet:
    """One table as text."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    note: str = ""


def head(report: Report) -> list[str]:
    """What the figures belong to, in sentences."""
    facts, method = report["machine"], report["method"]
    bundle = facts["bundle"]
    libraries = {f"{s['facts']['library']} {s['facts']['version']}" for s in report["systems"]}
    much = (
        f"{method['repeats']} inferences"
        if method["repeats"]
        else f"at least {method['seconds']:g} s and {method['rounds']} inferences"
    )
    return [
        f"{facts['processor']}, {facts['cores']} of {facts['machine_cores']} cores, "
        f"{facts['memory_gib']} GiB{_gpus(facts['gpus'])}; "
        f"load average {facts['load_average']:g} at the start; {facts['date']}",
        f"Bundle {bundle['name']} ({bundle['digest'][:12]}); fmtool {facts['fmtool']}, "
        f"Python {facts['python']}, {', '.join(sorted(libraries))}",
        f"Volumes: {', '.join(report['volumes'])}. {much} per system in {method['rounds']} "
        f"interleaved rounds, {method['warm_up_seconds']:g} s of warm-up; no outlier is left out.",
        *report["warnings"],
    ]


def _gpus(gpus: list[dict[str, Any]]) -> str:
    return "".join(f"; cuda:{gpu['number']} {gpu['name']} ({gpu['capability']})" for gpu in gpus)


def sheets(report: Report) -> Iterator[Sheet]:
    """Every table that has a figure in it."""
    columns = [Column(**column) for column in report["columns"]]
    for title in dict.fromkeys(column.table for column in columns):
        shown = [column for column in columns if column.table == title]
        rows = [
            [system["name"], *(column.show(system["metrics"][column.name]) for column in shown)]
            for system in report["systems"]
        ]
        sheet = Sheet(
            title, ["", *(column.heading for column in shown)], rows, _note(title, report)
        )
        yield _extended(sheet, report)
    if report["ratios"]:
        yield _ratios(report)


def _extended(sheet: Sheet, report: Report) -> Sheet:
    """The words that belong beside some figures."""
    systems = report["systems"]
    extra: dict[str, list[str]] = {}
    if sheet.title.startswith("Latency"):
        extra["n"] = [str(system["latency"]["n"]) for system in systems]
        extra["others busy [%]"] = [_percent(system["others_busy"]) for system in systems]
    elif sheet.title.startswith("What"):
        extra["bound by"] = [(s["roofline"] or {}).get("bound", "-") for s in systems]
        extra["peak from"] = [(s["peak"] or {}).get("probe", "-") for s in systems]
    elif sheet.title.startswith("Against"):
        extra["self-test"] = [_verdict(system["self_test"]) for system in systems]
    elif sheet.title.startswith("Start"):
        extra["cores busy"] = [f"{system['cores_busy']:.1f}" for system in systems]
        for part in ("host_to_device", "compute", "device_to_host"):
            if any(system["split"] for system in systems):
                extra[f"{part} [s]"] = [_part(system["split"], part) for system in systems]
    if not extra:
        return sheet
    rows = [
        [*row, *more]
        for row, more in zip(sheet.rows, zip(*extra.values(), strict=True), strict=True)
    ]
    return Sheet(sheet.title, [*sheet.heads, *extra], rows, sheet.note)


def _note(title: str, report: Report) -> str:
    if title.startswith("Latency"):
        few = any(system["latency"]["n"] < 100 for system in report["systems"])
        notes = [f"speedup: of the median over {report['baseline']}"] if report["baseline"] else []
        notes += ["p99 of fewer than 100 inferences is the slowest one"] if few else []
        return "; ".join(notes)
    if title.startswith("Against"):
        return f"float32: {report['reference']}"
    if title.startswith("Start"):
        reasons = {s["reasons"].get("energy") for s in report["systems"]} - {None}
        notes = [f"energy: {reason}" for reason in sorted(reasons)]
        return "; ".join([*notes, *_no_split(report["systems"])])
    if title.startswith("Share"):
        reasons = {s["reasons"].get("share_of_peak") for s in report["systems"]} - {None}
        return "; ".join(sorted(reasons))
    return ""


def _no_split(systems: list[dict[str, Any]]) -> list[str]:
    if any(system["split"] for system in systems):
        return []
    if all(system["facts"]["device"] == "cpu" for system in systems):
        return ["transfers to and from a device: not applicable on the CPU"]
    return [
        "transfers to and from the GPU are in the latency; these engines do not tell them apart"
    ]


def _ratios(report: Report) -> Sheet:
    peers = {system["name"] for system in report["systems"] if system["peer"]}
    rows = [
        [
            r["system"],
            r["against"],
            f"{r['ratio']:.2f}",
            "{:.2f} to {:.2f}".format(*r["interval"]),
            "-" if r["processor_ratio"] is None else f"{r['processor_ratio']:.2f}",
        ]
        for r in report["ratios"]
        if r["ratio"] >= 1 or r["against"] in peers  # of two engines, the faster one's
    ]
    return Sheet(
        "Times as fast", ["", "as", "ratio of medians", "95 % interval", "by CPU time"], rows
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"


def _verdict(outcome: dict[str, Any] | None) -> str:
    return "-" if outcome is None else "passed" if outcome["passed"] else "refused"


def _part(split: dict[str, float] | None, name: str) -> str:
    return f"{split[name]:.3g}" if split and name in split else "-"


def markdown(report: Report) -> str:
    """The report as Markdown."""
    lines = ["# fmtool bench", "", *(f"- {sentence}" for sentence in head(report))]
    lines += [f"- Not run: {name}: {why}" for name, why in report["not_run"].items()]
    for sheet in sheets(report):
        lines += ["", f"## {sheet.title}", ""]
        lines += [f"| {' | '.join(sheet.heads)} |", "|" + "---|" * len(sheet.heads)]
        lines += [f"| {' | '.join(row)} |" for row in sheet.rows]
        lines += ["", f"{sheet.note}."] if sheet.note else []
    return "\n".join(lines) + "\n"


def rich_tables(report: Report) -> Iterator[Any]:
    """The tables for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    for sheet in sheets(report):
        table = Table(title=sheet.title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        table.caption, table.caption_justify = sheet.note or None, "left"
        for i, name in enumerate(sheet.heads):
            # A narrow terminal breaks what has several words, never a figure.
            single = i > 0 and all(_WORD.fullmatch(row[i]) for row in sheet.rows)
            table.add_column(
                Text(name.replace(" ", "\n")),
                justify="left" if i == 0 else "right",
                no_wrap=single,
                min_width=14 if i == 0 else None,
                overflow="fold",
            )
        for row in sheet.rows:
            table.add_row(*map(Text, row))
        yield table
