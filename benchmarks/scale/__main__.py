"""What a scan costs on one core, and what a million a day would take: the tables of docs/scale.md.

    python -m benchmarks.scale [SCAN] [--repeats 5] [--page docs/scale.md] [--json FILE]

Measured, in fresh processes on one core each: processor and wall seconds by stage, start and peak
memory, with the demonstration bundle and with the full-size encoder; what the command itself does
for each scan. The rest is computed from that; assumptions are in `benchmarks/scale/page.py`. SCAN
is a whole head; the one that `make demo` uses if absent. `--page` replaces the page's tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import full_size
from benchmarks.bench import machine, roofline
from benchmarks.scale import page, record, stages
from benchmarks.shared import script
from fmtool import bundle as bundles
from fmtool.errors import InputError

_ITEMS = 500


def measure(scan: Path, repeats: int, work: Path) -> dict[str, Any]:
    """All that is measured, as plain data."""
    full = full_size.bundle(work)
    demo = bundles.open()
    found: dict[str, Any] = {
        "machine": machine.header(demo),
        "scan bytes": scan.stat().st_size,
        "demo": stages.measure(scan, demo.path, repeats),
        "full": stages.measure(scan, full.path, repeats),
        "flop": {
            name: sum(layer.flop for layer in roofline.count(bundle.model()))
            for name, bundle in (("demo", demo), ("full", full))
        },
        "step": record.step_seconds(20_000),
    }
    return found | {"record": record.measure(scan, found["full"]["result"], _ITEMS, work)}


def default_scan() -> Path:
    """The whole head that `make demo` uses.

    Raises:
        InputError: if its package is not installed.
    """
    try:
        import pydeface  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("name a whole head: pydeface, which carries one, is missing") from None
    return Path(pydeface.__file__).parent / "data" / "mean_reg2mean.nii.gz"


def main() -> None:
    """Measure, print, and write the page and JSON."""
    args = script.options(__doc__, "scan?", repeats=5, page=Path, json=Path)
    work = Path(".cache")
    work.mkdir(exist_ok=True)
    found = measure(args.scan or default_scan(), args.repeats, work)
    text = page.tables(found)
    print(text)
    if args.page:
        page.put(args.page, text)
    script.keep(found, args.json)


if __name__ == "__main__":
    main()
