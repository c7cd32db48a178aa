"""`fmtool doctor`: what this machine can run, and why not the rest."""

from __future__ import annotations

import json as json_format

from fmtool.cli.options import JsonOption, ThreadsOption
from fmtool.errors import CapabilityError


def doctor(
    json: JsonOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Show each inference engine with its version, or the reason it is missing."""
    from rich.table import Table
    from rich.text import Text

    from fmtool.cli import console
    from runtime.doctor import examine

    facts = examine()
    if json:
        console.put(json_format.dumps(facts, indent=1))
    else:
        table = Table("engine", "version", "usable", "why", title=f"fmtool {facts['fmtool']}")
        for backend in facts["backends"]:
            table.add_row(
                backend["name"],
                backend["version"] or "-",
                "yes" if backend["available"] else "no",
                # What all rows of a GPU lack is said once, above. No markup: brackets are extras.
                Text(backend["reason"].replace(facts["no_gpu"] or "\n", "no GPU")),
            )
        console.table(
            f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib'] or '?'} GiB, "
            f"Python {facts['python']}"
        )
        console.table(f"Cache: {facts['cache']}")
        there = [name for name, has in facts["instructions"].items() if has]
        console.table(f"Instructions for networks: {', '.join(there) or 'none'}")
        for gpu in facts["gpus"]:
            console.table(
                f"cuda:{gpu['number']}: {gpu['name']}, {gpu['capability']}, the driver runs CUDA "
                f"{facts['driver_cuda']}"
            )
        if not facts["gpus"]:
            console.table(f"No GPU: {facts['no_gpu']}")
        console.table(table)
        for build in (b for b in facts["builds"] if b["version"]):
            what = f"for {', '.join(build['targets'])}" if build["targets"] else "nothing"
            why = f": {build['reason']}" if build["reason"] else ""
            name = " ".join(filter(None, (build["name"], build["version"])))
            console.table(f"{name} builds {what}{why}")
        for name, version in facts["training"].items():
            more = ", and for a site's own heads" * (name == "scikit-learn")
            absent = f"not installed (needed for training and export{more})"
            console.table(f"{name}: {version or absent}")
    if facts["choice"] is None:
        raise CapabilityError(
            "no inference engine can run here; the table says what each lacks, and "
            "`pip install 'fmtool[cpu]'` brings two that need no GPU"
        )
    if not json:
        choice = facts["choice"]
        console.table(
            f"auto takes {choice['engine']} on {choice['device']} in {choice['precision']}: "
            f"{choice['reason']}"
        )
