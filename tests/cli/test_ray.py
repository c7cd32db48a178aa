"""`fmtool predict --out --ray` on two raylets of this machine: killed, stopped, and left alone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

psutil = pytest.importorskip("psutil")
cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed")

from benchmarks.batch.crash import answers, differences  # noqa: E402
from benchmarks.batch.scans import prepared  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SCANS = 6
RAYLET = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    """A head with one core; whatever a test adds or kills, nothing of it is left at the end."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = cluster_utils.Cluster(
            initialize_head=True, head_node_args={**RAYLET, "include_log_monitor": False}
        )
        yield made
        made.shutdown()
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=10)
    for process in alive:
        process.kill()
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return prepared(SCANS, tmp_path_factory.mktemp("ray") / "in")


@pytest.fixture(scope="module")
def start(cluster, tmp_path_factory):
    """`start(scans, out, ...)`: the command, running."""
    cache = tmp_path_factory.mktemp("cache")

    def command(*words, ray=cluster.address):
        cluster_words = ["--ray", ray] if ray else []
        return subprocess.Popen(
            [sys.executable, "-m", "fmtool", "predict", *map(str, words), *cluster_words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )

    return command


def states(out):
    if not (out / "ledger.sqlite").exists():
        return {}
    with sqlite3.connect(f"file:{out / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
        try:
            return dict(ledger.execute("SELECT state, count(*) FROM items GROUP BY state"))
        except sqlite3.OperationalError:
            return {}


def wait_for(out, count, process):
    while states(out).get("done", 0) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def kill(node):
    """What a power cut does to a node: its raylet and everything under it, at once."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in [raylet, *raylet.children(recursive=True)]:
        process.kill()


def test_a_node_that_dies_costs_nothing_but_time(cluster, scans, start, tmp_path):
    """As many results as scans, each recorded once, in order, and equal to the local batch's."""
    node = cluster.add_node(**RAYLET)
    out, pages = tmp_path / "out", tmp_path / "pages"
    process = start(scans, "--out", out, "--report", pages)
    wait_for(out, 2, process)
    kill(node)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert f"{SCANS} done, 0 failed, 0 left" in said
    assert "Traceback" not in said

    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        rows = ledger.execute("SELECT state, attempts, result FROM items").fetchall()
        results = ledger.execute("SELECT count(*) FROM results").fetchone()[0]
        charged = ledger.execute("SELECT count(*) FROM errors").fetchone()[0]
    assert [state for state, _, _ in rows] == ["done"] * SCANS
    assert len({result for _, _, result in rows}) == results == SCANS
    # One actor was there: at most the scan that it had lost an attempt.
    assert sum(attempts for _, attempts, _ in rows) == charged <= 1

    local = start(scans, "--out", tmp_path / "local", ray=None)
    assert local.wait(timeout=300) == 0, local.stderr.read()
    found, expected = answers(out), answers(tmp_path / "local")
    assert [row["scan"] for row in found] == [str(scans / f"head-{n:02}") for n in range(SCANS)]
    assert differences(expected, found, "cluster") == []
    assert {path.name for path in out.glob("results.*")} == {
        path.name for path in (tmp_path / "local").glob("results.*")
    }
    assert len(list(pages.glob("head-*.html"))) == SCANS

    # What one machine began, a cluster goes on with.
    again = start(scans, "--out", tmp_path / "local")
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0
    assert f"{SCANS} settled before" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_it_ends_a_local_batch(scans, start, tmp_path, number):
    out = tmp_path / "out"
    process = start(scans, "--out", out)
    wait_for(out, 1, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert f"stopped by {number.name}" in said
    assert "running" not in states(out)
    assert len((out / "results.jsonl").read_text(encoding="utf-8").splitlines()) >= 1


def test_a_cluster_that_is_gone_is_one_sentence_and_the_rest_waits(cluster, scans, start, tmp_path):
    out = tmp_path / "out"
    process = start(scans, "--out", out)
    wait_for(out, 1, process)
    kill(cluster.head_node)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 3, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("error: the Ray cluster at")
    left = states(out)
    assert left["waiting"] + left["done"] == SCANS
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == left["done"]
