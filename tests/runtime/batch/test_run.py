"""A batch: all is answered once, whatever becomes of its workers, its disk and its signals."""

from __future__ import annotations

import csv
import json
import os
import signal
from contextlib import ExitStack

import numpy as np
import pytest

from fmtool import bundle
from fmtool.errors import CapabilityError, InputError, LedgerError
from runtime.batch import outputs, pool, resources, worker
from runtime.batch.enrol import enrol
from runtime.batch.here import Here
from runtime.batch.inputs import expand
from runtime.batch.run import BatchPlan, run
from runtime.batch.stop import Stop
from runtime.batch.wire import Refused, pack, unpack
from runtime.batch.worker import Job, Setup
from runtime.engines.choose import Choice
from runtime.ledger import Identifiers, Ledger, claims
from runtime.ledger.outcomes import counts, outcomes
from runtime.predict import Predictor
from runtime.prepare import Preparer, Reading
from runtime.preprocess.template import Template
from runtime.report.publish import Publisher
from runtime.result import Result

pytestmark = pytest.mark.timeout(300)


def setup(folder, pictures=False, bundle_path=bundle.DEMO):
    return Setup(bundle_path, Reading(), folder, pictures)


class Answers:
    """A predictor without a network."""

    choice = Choice("none", "cpu", "float32", "as asked for")
    bundle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def answer(self, ready):
        bundle = {"name": "none", "digest": "b" * 64, "limits": [], "demonstration": True}
        embedding = np.array([ready.prepared.volume.mean()], np.float32)
        return Result(
            ready.scan, {}, embedding, ready.checks, ready.prepared, bundle, "none",
            ready.prepared.facts, {"total": ready.seconds}, [f"{ready.scan} is odd"],
        )  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def batch(heads, tmp_path):
    """`batch(*more, identifiers=...)`: the heads and whatever else, in an open ledger."""
    opened = []

    def make(
        *more, identifiers=Identifiers.keep, report=False, real=False, bundle_path=bundle.DEMO
    ):
        ledger = Ledger(tmp_path / "ledger.sqlite", identifiers)
        opened.append(ledger)
        predictor = Predictor(prepares=False) if real else Answers()
        template = Template.load(bundle.DEMO / "template.nii.gz")
        publisher = Publisher(tmp_path / "pages", template) if report else None
        stop, place = Stop(), Here(predictor, 2 if real else 1)
        return BatchPlan(
            scans=list(enrol(ledger, expand([heads, *more]), "b" * 64, {})),
            ledger=ledger,
            folder=tmp_path,
            hire=entered.enter_context(place.open(setup(tmp_path, report, bundle_path), stop)).hire,
            settled=lambda state, sentence: settled.append((state, sentence)),
            publisher=publisher,
            stop=stop,
        )

    settled = []
    make.settled = settled
    with ExitStack() as entered:
        yield make
    for ledger in opened:
        ledger.run.close()


def test_a_batch_answers_as_a_predictor_does_and_names_what_failed(batch, heads, tmp_path):
    made = batch(tmp_path / "absent.nii", heads / "head-0", report=True, real=True)
    run(made)
    assert [s for s, _ in batch.settled].count("done") == 3
    rows = list(outcomes(made.ledger, [scan.item for scan in made.scans]))
    assert [row["scan"] for row in rows] == [
        *(str(heads / f"head-{n}") for n in range(3)),
        str(tmp_path / "absent.nii"),
        str(heads / "head-0"),
    ]
    assert "does not exist" in rows[3]["error"]
    with Predictor() as predictor:
        alone = predictor.predict(heads / "head-1").to_dict()
    np.testing.assert_allclose(rows[1]["embedding"], alone["embedding"], rtol=1e-4, atol=1e-6)
    assert set(rows[1]) == {*alone, "content"}
    pages = sorted(path.name for path in (tmp_path / "pages").iterdir())
    assert pages == [f"head-{n}.{end}" for n in range(3) for end in ("html", "json")]
    assert "data:image/png" in (tmp_path / "pages" / "head-1.html").read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".work-*"))

    paths = outputs.write(made.ledger, tmp_path, [scan.item for scan in made.scans], ["age"])
    table = list(csv.DictReader(paths[0].open()))
    lines = [json.loads(line) for line in paths[1].read_text(encoding="utf-8").splitlines()]
    assert [line["scan"] for line in lines] == [row["scan"] for row in table]
    assert list(lines[0]["values"]) == ["age"]
    assert all(line["finished"] and line["version"] for line in lines)
    told = json.loads(paths[2].read_text(encoding="utf-8"))
    assert list(told) == list(table[0])
    if len(paths) == 4:
        rows = pytest.importorskip("pyarrow.parquet").read_table(paths[3]).to_pylist()
        assert [row["scan"] for row in rows] == [line["scan"] for line in lines]
        assert rows[0]["age_predicted"] == lines[0]["values"]["age"]["value"]
        assert len(rows[0]["embedding"]) == len(lines[0]["embedding"])
        assert rows[3]["age_predicted"] is None
        assert "does not exist" in rows[3]["error"]

    # The same again: nothing is computed, so that not even a worker starts.
    publisher = Publisher(tmp_path / "pages", made.publisher._template, bundle.open().digest)
    assert not any(publisher.wants("any", scan.content) for scan in made.scans if scan.content)
    again = batch(tmp_path / "absent.nii")
    run(BatchPlan(**{**again.__dict__, "scans": again.scans[:3], "hire": None}))


def test_a_worker_that_is_killed_costs_one_attempt(batch, monkeypatch):
    """The worker that has head-0 in hand is killed: that head fails, the others do not."""
    monkeypatch.setattr(claims, "ATTEMPTS", 1)
    made = batch()
    real = pool._SPAWN.Process

    def process(target, args, daemon):
        return real(target=_killed_by_head_0, args=args, daemon=daemon)

    monkeypatch.setattr(pool._SPAWN, "Process", process)
    run(made)
    assert counts(made.ledger) | {} == {
        "waiting": 0, "running": 0, "done": 2, "failed": 1, "quarantined": 0,
    }  # fmt: skip
    (failure,) = [row for row in outcomes(made.ledger) if "error" in row]
    assert "SIGKILL" in failure["error"]
    assert "head-0" in failure["error"]


def _killed_by_head_0(pipe, setup, core):
    real = worker._attempt

    def attempt(preparer, setup, job):
        if job.source.name == "head-0":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(preparer, setup, job)

    worker._attempt = attempt
    worker.work(pipe, setup, core)


def test_workers_that_cannot_start_end_the_batch(batch, tmp_path):
    made = batch(bundle_path=tmp_path / "no.fmtool")
    with pytest.raises(CapabilityError, match=r"no\.fmtool"):
        run(made)
    assert counts(made.ledger)["waiting"] == 3


def test_a_machine_that_starts_no_process_ends_the_batch(batch, monkeypatch):
    def process(**_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(pool._SPAWN, "Process", process)
    with pytest.raises(CapabilityError, match="Cannot allocate memory"):
        run(batch())


def test_a_signal_ends_the_batch_and_leaves_the_rest_waiting(batch):
    made = batch()
    with made.stop:
        made.settled = lambda state, sentence: signal.raise_signal(signal.SIGTERM)
        run(made)
    assert made.stop.signal == signal.SIGTERM
    assert counts(made.ledger)["done"] == 1
    assert counts(made.ledger)["waiting"] == 2
    assert not list(made.folder.glob(".work-*"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_full_disk_ends_the_batch_in_one_sentence_and_loses_nothing(batch, monkeypatch):
    made = batch()
    monkeypatch.setattr(resources, "LEAST_FREE", 1 << 60)
    with pytest.raises(InputError, match="free"):
        run(made)
    monkeypatch.undo()

    def full(item, data):
        raise LedgerError("full")

    made.ledger.finish = full
    with pytest.raises(LedgerError):
        run(made)
    assert counts(made.ledger)["waiting"] == 3


def test_paths_go_nowhere_unless_they_are_kept(batch, heads, tmp_path):
    secret = tmp_path / "Doe_Jane.nii"
    secret.write_bytes(b"no scan at all")
    made = batch(secret, identifiers=Identifiers.hash)
    run(BatchPlan(**{**made.__dict__, "scans": made.scans[2:]}))
    for path in outputs.write(made.ledger, tmp_path):
        assert b"Doe" not in path.read_bytes()
        assert b"head-2" not in path.read_bytes()
    assert not any("Doe" in sentence for _, sentence in batch.settled)


def test_the_way_from_a_worker_changes_nothing(heads):
    with bundle.open() as opened, Preparer(opened) as preparer:
        ready = preparer(heads / "head-1")
    packed = pack(ready, {})
    assert packed.voxels.nbytes + packed.mask.nbytes < ready.prepared.volume.nbytes / 2
    back = unpack(packed)
    np.testing.assert_array_equal(back.prepared.volume, ready.prepared.volume)
    np.testing.assert_array_equal(back.prepared.mask, ready.prepared.mask)
    assert (back.scan, back.facts, back.timings) == (ready.scan, ready.facts, ready.timings)


class Stub:
    """A preparer that raises what it is told to."""

    def __init__(self, error):
        self.error = error

    def __call__(self, source, whole=False):
        raise self.error


def opening_failed(number):
    """What reading a file raises when the system reports an error."""
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})") from None
    except InputError as error:
        return error


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (InputError("no scan"), False),
        (opening_failed(5), True),  # input/output error
        (opening_failed(2), False),  # no such file
        (opening_failed(13), False),  # no permission
        (OSError(116, "Stale file handle"), True),
        (MemoryError(), True),
        (ZeroDivisionError("a defect"), False),
    ],
)
def test_only_the_system_s_failures_pass(tmp_path, error, passing):
    job = Job(1, tmp_path / "a.nii", "")
    refused = worker._attempt(Stub(error), setup(tmp_path), job)
    assert isinstance(refused, Refused)
    assert refused.passing is passing
    assert refused.sentence


def test_a_scan_that_changes_while_it_is_read_is_read_again(tmp_path, heads):
    class Ready:
        scan = "a.nii"

    path = tmp_path / "a.nii"
    path.touch()
    refused = worker._attempt(lambda source, whole: Ready(), setup(tmp_path), Job(1, path, "other"))
    assert isinstance(refused, Refused)
    assert refused.passing


def test_as_many_workers_as_cores_memory_and_scans_allow(monkeypatch):
    monkeypatch.setattr(resources.machine, "cores", lambda: 8)
    monkeypatch.setattr(resources.machine, "memory", lambda: 6 << 30)
    assert resources.workers(100) == 4
    assert resources.workers(2) == 2
    monkeypatch.setattr(resources.machine, "memory", lambda: 1 << 29)
    assert resources.workers(100) == 1
