"""Run fmtool on an emulated machine, and compare every number with this machine's.

    python -m benchmarks.emulated [--machine aarch64|nehalem] [--step doctor ...]

Needs Debian's apt-get and dpkg-deb, uv, and hours: emulated convolution is some hundred times
slower. What is done is kept in the folder; a later call goes on from there. Exits with 1 if a step
fails or a number differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.emulated import inputs, machine
from benchmarks.emulated.machine import Machine
from benchmarks.packages.environment import Failed
from fmtool import bundle
from runtime.system import atomic

ENGINES = ("onnxruntime", "openvino")
ALLOWED = 1e-4
"""Of a head's error, or of the largest of a list of numbers, or of the number itself."""

_NICE = 15
_POLL_S = 1.0
_MODULE = ["-m", "fmtool"]
_WORK = ["-m", "benchmarks.emulated.work"]

Numbers = dict[str, Any]
Step = Callable[[Machine, Path], Numbers]


def main() -> int:
    """Run what is not done yet, one line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", choices=[*machine.MACHINES], default="aarch64")
    parser.add_argument("--folder", type=Path, default=Path("build/emulated"))
    parser.add_argument("--step", action="append", help="all if absent")
    args = parser.parse_args()
    os.nice(_NICE)
    given = inputs.make(args.folder.resolve() / "inputs")
    folder = args.folder.resolve() / args.machine
    there = machine.MACHINES[args.machine](folder)
    failed = False
    for name, step in steps(given).items():
        if args.step and name not in args.step:
            continue
        file = folder / f"{name}.json"
        try:
            if not file.exists():
                found = _measured(name, step, there, folder)
                atomic.write_bytes(file, json.dumps(found).encode())
            said = json.loads(file.read_text("utf-8"))
            wrong = said["worst"] > ALLOWED
            print(
                f"{'FAILED ' if wrong else 'ok     '} {name}: {said['numbers']} numbers, the worst "
                f"differs by {said['worst']:.1e}; {said['seconds']:.0f} s, here "
                f"{said['seconds_here']:.0f} s",
                flush=True,
            )
        except Failed as error:
            wrong = True
            print(f"FAILED  {name}: {error}", flush=True)
        failed = failed or wrong
    return int(failed)


def steps(given: Path) -> dict[str, Step]:
    """The steps by name, those that cost least first."""
    tiny = ["--bundle", str(given / "tiny.fmtool")]
    found: dict[str, Step] = {"doctor": _doctor}
    for engine in ENGINES:
        words = ["network", engine, str(given / "strip.onnx"), str(given / "strip.npy")]
        found[f"strip-{engine}"] = partial(_printed, [*_WORK, *words])
    for engine in ENGINES:
        head = str(given / "prepared" / "head-00")
        words = ["predict", head, *tiny, "--engine", engine, "--json"]
        found[f"prepared-{engine}"] = partial(_printed, [*_MODULE, *words])
    found["killed"] = partial(_killed, given / "prepared", tiny)
    found["verify"] = partial(_said, [*_MODULE, "bundle", "verify"])
    for engine in ENGINES:
        words = ["predict", str(given / "head.nii.gz"), "--engine", engine, "--json"]
        found[f"head-{engine}"] = partial(_printed, [*_MODULE, *words])
    words = ["report", str(given / "series"), ENGINES[0], "report.dcm"]
    return {**found, "series": partial(_printed, [*_WORK, *words])}


def differences(here: Numbers, there: Numbers) -> Iterator[float]:
    """How far each number is off, as a share of what `ALLOWED` is of.

    Raises:
        Failed: if one machine has what the other has not.
    """
    if here.keys() != there.keys():
        raise Failed(f"only one machine says {sorted(here.keys() ^ there.keys())}")
    known = bundle.open(bundle.DEMO).manifest.tasks
    errors = {task: entry.evidence for task, entry in known.items()}
    for name, value in here.items():
        ours, theirs = ([x] if isinstance(x, float) else x for x in (value, there[name]))
        if len(ours) != len(theirs):
            raise Failed(f"{name}: {len(theirs)} numbers instead of {len(ours)}")
        task = errors.get(name.removeprefix("value of "), {})
        largest = max((abs(x) for x in ours), default=0.0) or 1.0
        unit = float(task["value"]) if task.get("metric") == "MAE" else largest
        for x, y in zip(ours, theirs, strict=True):
            yield abs(x - y) / unit if math.isfinite(y) else math.inf


def _measured(name: str, step: Step, there: Machine, folder: Path) -> Numbers:
    """A step on both machines, and how far apart they are."""
    found, seconds = [], []
    for each in (machine.here(), there):
        work = folder / "work" / f"{name}-{'here' if each.features is None else 'there'}"
        work.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        found.append(step(each, work))
        seconds.append(time.monotonic() - start)
    apart = list(differences(*found))
    return {
        "numbers": len(apart),
        "worst": max(apart, default=0.0),
        "seconds": seconds[1],
        "seconds_here": seconds[0],
        "here": found[0],
        "there": found[1],
    }


def _run(words: list[str], each: Machine, work: Path) -> str:
    process = each.start(words, work)
    out, told = process.communicate()
    if process.returncode:
        last = " ".join(told.strip().splitlines()[-3:])
        raise Failed(f"exit code {process.returncode} of {' '.join(words)}: {last}")
    return out


def _doctor(each: Machine, work: Path) -> Numbers:
    """The processor's features by their names, and both engines usable."""
    facts = json.loads(_run([*_MODULE, "doctor", "--json"], each, work))
    named = {name for name, has in facts["instructions"].items() if has}
    if each.features is not None and named != each.features:
        raise Failed(f"doctor names {sorted(named)}")
    usable = {one["name"] for one in facts["backends"] if one["available"]}
    if not usable >= set(ENGINES):
        raise Failed(f"only {sorted(usable)} can be used")
    return {}


def _said(words: list[str], each: Machine, work: Path) -> Numbers:
    """A command that says itself whether all is well."""
    _run(words, each, work)
    return {}


def _printed(words: list[str], each: Machine, work: Path) -> Numbers:
    """The numbers that a command prints as JSON."""
    said = json.loads(_run(words, each, work))
    return _numbers(said[0]) if isinstance(said, list) else dict(said)


def _killed(scans: Path, tiny: list[str], each: Machine, work: Path) -> Numbers:
    """A batch of two, killed once the first is answered, and resumed."""
    words = [*_MODULE, "predict", str(scans), *tiny, "--engine", ENGINES[0], "--out", "out"]
    ledger = work / "out" / "ledger.sqlite"
    process = each.start(words, work)
    while process.poll() is None and not _answered(ledger):
        time.sleep(_POLL_S)
    with suppress(ProcessLookupError):  # it was faster than this looks
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    _run(words, each, work)
    lines = (work / "out" / "results.jsonl").read_text("utf-8").splitlines()
    if len(lines) != 2 or _answered(ledger) != 2:
        raise Failed(f"{len(lines)} results of 2 scans, {_answered(ledger)} in the ledger")
    rows = sorted(map(json.loads, lines), key=lambda row: str(row["scan"]))
    return {f"{i} {name}": x for i, row in enumerate(rows) for name, x in _numbers(row).items()}


def _answered(ledger: Path) -> int:
    """How many scans a batch's ledger has as done."""
    if not ledger.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
            (count,) = connection.execute("SELECT count(*) FROM results").fetchone()
    except sqlite3.OperationalError:  # it is being made
        return 0
    return int(count)


def _numbers(result: dict[str, Any]) -> Numbers:
    """A result's values, embedding and brain volume."""
    values = {f"value of {task}": float(v["value"]) for task, v in result["values"].items()}
    volume = float(result["facts"]["brain_volume_ml"])
    return {**values, "embedding": result["embedding"], "brain volume": volume}


if __name__ == "__main__":
    sys.exit(main())
