"""One head by its file and through the server in every arrangement: values, seconds, memory."""

from __future__ import annotations

import itertools
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime import scan as scans
from runtime.predict import Predictor
from runtime.result import Result
from runtime.scan import Scan
from runtime.service.ending import Ending
from runtime.service.mrd import parameters, volume, wire
from runtime.service.mrd.limits import SessionLimits
from runtime.service.mrd.rehearsal import client, scanner
from runtime.service.mrd.rehearsal.scanner import Arrangement
from runtime.service.mrd.service import MrdSettings, serve
from runtime.service.mrd.wire import MrdMessage

_MOST_ERROR = 1e-3  # of the head's own
_MORE_S, _FIRST_S = 0.5, 1.0
_REPEATS = 3


def arrangements() -> list[tuple[str, bool, Arrangement]]:
    """Name, whether the head lies obliquely, how it is sent."""
    found = []
    planes: tuple[scanner.Plane, ...] = ("axial", "sagittal", "coronal")
    for plane, left, centred in itertools.product(planes, (True, False), (True, False)):
        hand, where = ("left" if left else "right"), ("centre" if centred else "first voxel")
        how = Arrangement(plane, False, left, centred, marked=centred, shuffled=1)
        found.append((f"{plane}, {hand}-handed, {where}", False, how))
    for left in (True, False):
        how = Arrangement("axial", True, left)
        found.append((f"packed axial, {'left' if left else 'right'}-handed", False, how))
        oblique = Arrangement("sagittal", False, left, shuffled=2)
        found.append((f"oblique, {'left' if left else 'right'}-handed", True, oblique))
    return found


def measure(head: Path, bundle: Path | None) -> dict[str, Any]:
    """Everything, and what misses its bar."""
    whole = scans.read(head)
    missed: list[str] = []
    with Predictor(bundle) as predictor:
        direct = {False: predictor.predict(whole), True: predictor.predict(_oblique(whole))}
        worst = 0.0
        rows = []
        for name, oblique, how in arrangements():
            source = _oblique(whole) if oblique else whole
            read = volume.read(scanner.stream(source, how))
            found = predictor.predict(read.scan)
            error = _apart(found, direct[oblique])
            worst = max(worst, error)
            rows.append({"arrangement": name, "of_the_error": round(error, 8)})
            if error > _MOST_ERROR:
                missed.append(f"{name}: {error:.2g} of the error")
        warm = min(_seconds(lambda: predictor.predict(head)) for _ in range(_REPEATS))
    served = _served(scanner.stream(whole), bundle)
    over = served["last_image_to_close_s"] - warm
    if over > _MORE_S:
        missed.append(f"{over:.2f} s more than a warm predict")
    for what in ("first_message_s", "second_client_s"):
        if served[what] > _FIRST_S:
            missed.append(f"{what} {served[what]:.2f}")
    return {
        "head": head.name,
        "arrangements": rows,
        "largest_of_the_error": worst,
        "warm_predict_s": round(warm, 3),
        "more_than_predict_s": round(over, 3),
        **{name: round(value, 3) for name, value in served.items()},
        "missed": missed,
    }


def _oblique(scan: Scan) -> Scan:
    """The same voxels, said to lie 9 and 7 degrees off."""
    a, b = np.radians([9.0, -7.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = scan.affine.copy()
    affine[:3] = about_x @ about_z @ affine[:3]
    return replace(scan, affine=affine)


def _apart(found: Result, direct: Result) -> float:
    """The largest difference of a value, in errors of its head (a probability's is 1)."""
    return max(
        abs(found[name].value - direct[name].value)
        / (1.0 if direct[name].task.classes else float(direct[name].evidence.get("value") or 1.0))
        for name in direct
    )


def _served(sent: list[MrdMessage], bundle: Path | None) -> dict[str, float]:
    """Seconds and memory of a server in this process, with a child that computes."""
    ending, up, address = Ending(grace_s=0.0), threading.Event(), list[tuple[str, int]]()

    def ready(where: tuple[str, int]) -> None:
        address.append(where)
        up.set()

    settings = MrdSettings(port=0, bundle=bundle, limits=SessionLimits(budget_s=600.0))
    thread = threading.Thread(target=serve, args=(settings, ending, ready))
    thread.start()
    up.wait()
    try:
        client.converse(address[0], sent)  # the model is loaded, caches are warm
        found = [client.converse(address[0], sent) for _ in range(_REPEATS)]
        second = _second(address[0], sent)
        peak = _everything(address[0], sent)
    finally:
        ending.ask()
        thread.join()
    return {
        "last_image_to_close_s": min(one.answer_s for one in found),
        "first_message_s": max(one.first_s for one in found),
        "second_client_s": second,
        "peak_of_child_mb": peak,
    }


def _second(address: tuple[str, int], sent: list[MrdMessage]) -> float:
    """Seconds until a client is told that another's scan is computed."""
    first = threading.Thread(target=client.converse, args=(address, sent))
    first.start()
    try:
        while first.is_alive():  # told only while the first one's scan is computed
            start = time.monotonic()
            texts = client.converse(address, [wire.CLOSE]).texts
            if any("another scan" in text for text in texts):
                return time.monotonic() - start
    finally:
        first.join()
    return float("inf")


def _everything(address: tuple[str, int], sent: list[MrdMessage]) -> float:
    """MB of the computing process at its peak, all that can be sent switched on."""
    on = ", ".join(f'"{name}": "true"' for name in parameters.DEFAULTS)
    client.converse(
        address, [*sent[:2], wire.text_message(f'{{"parameters": {{{on}}}}}'), *sent[2:]]
    )
    return max(_peak_mb(pid) for pid in _children())


def _children() -> list[int]:
    task = Path(f"/proc/{os.getpid()}/task")
    return [int(p) for one in task.iterdir() for p in (one / "children").read_text().split()]


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _seconds(what: Any) -> float:
    start = time.monotonic()
    what()
    return time.monotonic() - start
