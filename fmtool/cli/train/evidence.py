"""Evidence as a table for people."""

from __future__ import annotations

from typing import Any


def table(task: str, evidence: dict[str, Any], name: str) -> Any:
    """A rich table: what was trained, called `name`, beside its baselines."""
    from rich.table import Table

    unit = f" {evidence['unit']}" if evidence["unit"] else ""
    low, high = evidence["interval"]
    table = Table("", evidence["metric"], "95 % interval", title=f"{task}: {evidence['sample']}")
    table.add_row(name, f"{evidence['value']:.3f}{unit}", f"{low:.3f} to {high:.3f}")
    table.add_row(evidence["baseline_name"], f"{evidence['baseline']:.3f}{unit}", "")
    if "brain_volume" in evidence:
        table.add_row("brain volume alone", f"{evidence['brain_volume']['value']:.3f}{unit}", "")
    beats = evidence["beats_baseline"]
    table.caption = (
        f"{'beats' if beats else 'does not beat'} its baseline: {evidence['baseline_name']}"
    )
    return table
