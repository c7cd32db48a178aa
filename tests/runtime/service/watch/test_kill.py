"""kill -9 at any moment: every item ends up answered once or put aside, and the ledger is whole."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

GOOD, BAD, SEED = 24, 4, 20

SCRIPT = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {helpers!r})
    from conftest import StandIn
    from runtime.service.ending import Ending
    from runtime.service.watch.service import watch
    from runtime.service.watch.front import WatchSettings

    worker = StandIn()
    def first(order, stop):
        with open({computed!r}, "a") as log:
            log.write(order.scan + chr(10))
        time.sleep(0.01)
    worker.first = first
    print("up", flush=True)
    settings = WatchSettings(Path({inbox!r}), 0.02, once=True)
    watch(settings, Path({out!r}), lambda: worker, Ending(), 0)
"""


def kills(inbox, out, tmp_path, request, times):
    for number in range(GOOD):
        (inbox / f"good{number}.nii").write_bytes(b"good %d" % number)
    for number in range(BAD):
        (inbox / f"bad{number}.nii").write_bytes(b"nothing %d" % number)
    words = {
        "helpers": str(request.path.parents[2]),
        "computed": str(tmp_path / "computed"),
        "inbox": str(inbox),
        "out": str(out),
    }
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(**words))
    draw = random.Random(SEED)
    for _ in range(times):
        if not any(inbox.iterdir()):
            break
        process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"up\n"
        time.sleep(draw.uniform(0.0, 0.25))
        process.kill()
        process.wait()
        process.stdout.close()
    subprocess.run([sys.executable, script], check=True, timeout=60, stdout=subprocess.DEVNULL)


def check(inbox, out):
    assert list(inbox.iterdir()) == []
    assert len(list((out / "done").iterdir())) == GOOD
    for number in range(GOOD):
        result = json.loads((out / f"good{number}" / "result.json").read_text(encoding="utf-8"))
        assert result["scan"] == f"good{number}.nii"
        assert (out / f"good{number}" / "report.html").exists()
    aside = sorted((out / "quarantine").iterdir())
    assert [p.name for p in aside] == [f"bad{n}" for n in range(BAD)]
    assert all(len(list(p.iterdir())) == 2 and (p / "reason.txt").stat().st_size for p in aside)
    assert [p for p in out.iterdir() if p.name.startswith(".fmtool-")] == []
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        states = dict(ledger.execute("SELECT state, count(*) FROM items GROUP BY state"))
        assert states == {"done": GOOD, "quarantined": BAD}
        assert ledger.execute("SELECT count(*) FROM results").fetchone() == (GOOD,)
    ledger.close()


def test_a_few_kills(inbox, out, tmp_path, request):
    kills(inbox, out, tmp_path, request, 4)
    check(inbox, out)


@pytest.mark.slow
def test_many_kills(inbox, out, tmp_path, request):
    for _ in range(5):
        kills(inbox, out, tmp_path, request, 40)
        check(inbox, out)
        for entry in (inbox, out):
            subprocess.run(["rm", "-rf", entry], check=True)
        inbox.mkdir()
