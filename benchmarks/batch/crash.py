"""Batches killed at random moments, and what it cost: nothing may be lost, doubled or altered."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.batch import PREDICT
from benchmarks.batch.scans import prepared


def crash(kills: int, count: int, seed: int, work: Path, bundle: Path) -> dict[str, Any]:
    """Kill batches at random moments; what was lost, doubled or altered, which must be nothing."""
    folder = prepared(count, work / "in")

    def command(out: Path) -> list[str]:
        return [*PREDICT, str(folder), "--bundle", str(bundle), "--out", str(out)]

    start = time.perf_counter()
    subprocess.run(command(work / "undisturbed"), check=True, capture_output=True)
    usual = time.perf_counter() - start
    expected = answers(work / "undisturbed")
    draw = random.Random(seed)
    killed, batches, finished_alone, problems = 0, 0, 0, list[str]()
    while killed < kills:
        out = work / f"out-{batches}"
        batches += 1
        while killed < kills:
            process = subprocess.Popen(
                command(out),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.wait(timeout=draw.uniform(0.0, usual / 2))
                finished_alone += 1
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                killed += 1
                problems += _torn(out)
        done = subprocess.run(command(out), check=False, capture_output=True, text=True)
        if done.returncode:
            problems.append(f"batch {batches}: exit code {done.returncode}: {done.stderr[-300:]}")
        else:
            problems += differences(expected, answers(out), f"batch {batches}")
        problems += _unsound(out / "ledger.sqlite", count)
        left = [path.name for path in out.iterdir() if path.name.startswith(".")]
        problems += [f"batch {batches}: {left} stayed"] if left else []
        shutil.rmtree(out)
    return {
        "kills": killed,
        "scans per batch": count,
        "batches": batches,
        "batches that ended before a kill": finished_alone,
        "seconds of an undisturbed batch": usual,
        "problems": problems,
    }


def _torn(out: Path) -> list[str]:
    """Result files that are there but not whole: they are replaced in one step, so never."""
    path = out / "results.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except json.JSONDecodeError:
        return [f"{path} is torn"]
    return [f"{path} is empty"] if path.exists() and not rows else []


def _unsound(ledger: Path, count: int) -> list[str]:
    with sqlite3.connect(ledger) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchone()[0]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        items = connection.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()[0]
        results = connection.execute("SELECT count(*) FROM results").fetchone()[0]
        errors = connection.execute("SELECT count(*) FROM errors").fetchone()[0]
    said = [] if checked == "ok" and not orphans else [f"{ledger}: {checked}, {orphans}"]
    if (items, results, errors) != (count, count, 0):
        said.append(f"{ledger}: {items} items, {results} results, {errors} errors of {count}")
    return said


_TIMES = ("timings", "finished")
_NUMBERS = ("embedding", "values")


def answers(out: Path) -> list[dict[str, Any]]:
    """A batch's rows without times."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in _TIMES} for line in lines]


def differences(
    expected: Sequence[dict[str, Any]], got: Sequence[dict[str, Any]], where: str
) -> list[str]:
    """What the rows of two runs do not share; embeddings may differ by rounding."""
    if [row["scan"] for row in expected] != [row["scan"] for row in got]:
        return [f"{where}: other scans, or in another order"]
    said = []
    for one, other in zip(expected, got, strict=True):
        a, b = (np.array(row.get("embedding", [])) for row in (one, other))
        same = a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6)
        rest = [{k: v for k, v in row.items() if k not in _NUMBERS} for row in (one, other)]
        values = [{k: v["value"] for k, v in row.get("values", {}).items()} for row in (one, other)]
        same = same and values[0].keys() == values[1].keys()
        same = same and np.allclose([*values[0].values()], [*values[1].values()], rtol=1e-5)
        if not same or rest[0] != rest[1]:
            said.append(f"{where}: {one['scan']} has another answer")
    return said
