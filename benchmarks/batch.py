"""`fmtool predict --out`: how much faster than one by one, how busy, and what kills cost it.

    python -m benchmarks.batch throughput SCAN [--scans 12] [--json FILE]
    python -m benchmarks.batch busy SCAN [--scans 20] [--json FILE]
    python -m benchmarks.batch crash [--kills 200] [--scans 40] [--seed 1] [--json FILE]

`throughput`, with the demonstration bundle: the same scans by one `fmtool predict` each, by one
`fmtool predict` for all, and by `fmtool predict --out`. `busy`, with the full-size encoder: how
much of the cores the batch's processes use between the first result and the last. `crash`: kill -9
of the whole process group at random moments, batch after batch, until there were enough; each
batch's results are then compared with an undisturbed run's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil  # type: ignore[import-untyped]

from fmtool import bundle as bundles
from fmtool import space

FMTOOL = (sys.executable, "-m", "fmtool", "predict")
_TIMES = ("timings", "finished")
_NUMBERS = ("embedding", "values")


def copies(scan: Path, count: int, folder: Path) -> Path:
    """A folder with `count` copies of a scan whose headers differ: as many contents, equal work."""
    folder.mkdir(parents=True)
    image = nib.load(scan)
    for number in range(count):
        image.header["descrip"] = f"copy {number}"
        nib.save(image, folder / f"scan-{number:02}.nii.gz")
    return folder


def prepared(count: int, folder: Path) -> Path:
    """A folder with `count` variants of the template as TurboPrep would have left it."""
    voxels = np.asarray(nib.load(bundles.DEMO / "template.nii.gz").dataobj).astype(np.float32)
    for number in range(count):
        one = folder / f"head-{number:02}"
        one.mkdir(parents=True)
        for name, array in (("normalized", voxels), ("mask", (voxels > 0).astype(np.float32))):
            image = nib.Nifti1Image(array, space.grid_affine())
            image.header["descrip"] = f"variant {number}"
            nib.save(image, one / f"{name}.nii.gz")
        # So that the answers differ, and a result that went to the wrong scan would show.
        voxels = np.where(voxels > 0, voxels + np.float32(2.0), 0).astype(np.float32)
    return folder


def timed(commands: Sequence[Sequence[str]]) -> dict[str, float]:
    """Wall and processor seconds of some commands, one after the other."""
    before, start = os.times(), time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system
    return {
        "wall": time.perf_counter() - start,
        "cpu": spent - before.children_user - before.children_system,
    }


def throughput(scan: Path, count: int, work: Path) -> dict[str, Any]:
    """Seconds of the three ways to have the same scans answered, and their ratios."""
    folder = copies(scan, count, work / "in")
    files = [str(path) for path in sorted(folder.iterdir())]
    timed([[*FMTOOL, files[0]]])  # the self-test is remembered, the files are cached
    each = timed([[*FMTOOL, file] for file in files])
    together = timed([[*FMTOOL, *files, "--json"]])
    batch = timed([[*FMTOOL, str(folder), "--out", str(work / "out")]])
    return {
        "scans": count,
        "one command each": each,
        "one command, one after the other": together,
        "batch": batch,
        "ratio to one command each": each["wall"] / batch["wall"],
        "ratio to one after the other": together["wall"] / batch["wall"],
    }


def busy(scan: Path, count: int, work: Path) -> dict[str, Any]:
    """How much of the cores a batch with the full-size encoder uses, by its own processes."""
    from benchmarks import full_size

    folder = copies(scan, count, work / "in")
    bundle = full_size.bundle(Path(".cache"))
    out = work / "out"
    command = [*FMTOOL, str(folder), "--bundle", str(bundle.path), "--out", str(out)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first: tuple[float, float] | None = None
    last = (0.0, 0.0)
    peak, done = 0, 0
    spent_by: dict[int, float] = {}  # a process that has ended keeps what it was last seen with
    while process.poll() is None:
        time.sleep(0.2)
        family = [process, *process.children(recursive=True)]
        held = _look(family, spent_by)
        spent = sum(spent_by.values())
        peak = max(peak, held)
        now = _done(out / "ledger.sqlite")
        if now and first is None:
            first = (time.perf_counter(), spent)
        if now > done:
            done, last = now, (time.perf_counter(), spent)
    assert first is not None, "no scan was answered"
    cores = len(os.sched_getaffinity(0))
    return {
        "scans": done,
        "cores": cores,
        "busy": (last[1] - first[1]) / (last[0] - first[0]) / cores,
        "scans per minute": 60 * (done - 1) / (last[0] - first[0]),
        "peak memory of all processes, GiB": peak / 2**30,
    }


def _look(family: Sequence[psutil.Process], spent_by: dict[int, float]) -> int:
    """Note the processor seconds of the processes that still live; their unshared memory, bytes."""
    held = 0
    for one in family:
        try:
            times = one.cpu_times()
            spent_by[one.pid] = times.user + times.system
            held += one.memory_full_info().uss
        except psutil.NoSuchProcess:
            continue
    return held


def _done(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
        try:
            rows = connection.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()
        except sqlite3.OperationalError:  # its tables are just being made
            return 0
    return int(rows[0])


def tiny(folder: Path) -> Path:
    """A bundle whose encoder is as narrow as can be, exported on the first call."""
    target = folder / "tiny.fmtool"
    if not target.exists():
        import torch

        from export.pack import pack
        from fmtool import task
        from training import encoders
        from training.head import Head

        torch.manual_seed(1)
        encoder = encoders.build("resnet18", width=1 / 64).eval()
        weight = np.ones(512 // 64)
        evidence = {"beats_baseline": False, "baseline_name": "none: random weights"}
        heads = [Head(task.get("age"), weight, 40.0, evidence, encoder_sha256="")]
        pack(target, encoder, heads, name="tiny random weights")
    return target


def crash(kills: int, count: int, seed: int, work: Path, bundle: Path) -> dict[str, Any]:
    """Kill batches at random moments; what was lost, doubled or altered, which must be nothing."""
    folder = prepared(count, work / "in")

    def command(out: Path) -> list[str]:
        return [*FMTOOL, str(folder), "--bundle", str(bundle), "--out", str(out)]

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


def main() -> int:
    """Measure, print, write JSON; 1 if a crash cost anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("throughput", "busy", "crash"))
    parser.add_argument("scan", type=Path, nargs="?", help="a whole head; not for crash")
    parser.add_argument("--scans", type=int)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.scan is None and args.what != "crash":
        parser.error(f"{args.what} needs a scan")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.what == "throughput":
            summary = throughput(args.scan, args.scans or 12, work)
        elif args.what == "busy":
            summary = busy(args.scan, args.scans or 20, work)
        else:
            summary = crash(args.kills, args.scans or 40, args.seed, work, tiny(Path(".cache")))
    print(json.dumps(summary, indent=1))
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if summary.get("problems") else 0


if __name__ == "__main__":
    sys.exit(main())
