"""What was made beside a result can be made again, though the ledger has the result."""

from __future__ import annotations

from runtime.ledger import Ledger

DATA = {
    "finished": "2026-01-01T00:00:00.000+00:00", "timings": {"total": 1.0}, "engine": "none",
    "version": "0", "values": {},
}  # fmt: skip


def test_a_settled_item_is_claimed_anew_and_keeps_the_first_result(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        one, twin = (ledger.add(name, "c" * 64, "b" * 64, {}) for name in ("a", "b"))
        assert ledger.claim(one) == "claimed"
        assert ledger.finish(one, DATA)
        assert ledger.claim(one) == "done"
        assert ledger.claim(one, anew=True) == "claimed"
        assert ledger.state(one) == "running"
        assert ledger.claim(twin, anew=True) == "busy"
        assert ledger.finish(one, DATA | {"engine": "another"})
        assert ledger.claim(twin, anew=True) == "claimed"
        ledger.release()
        assert ledger.claim(twin) == "done"  # by its twin's result
        (row,) = ledger.run("SELECT engine FROM results").fetchall()
        assert row["engine"] == "none"


def test_what_failed_is_not_claimed_anew(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        item = ledger.add("a", "c" * 64, "b" * 64, {})
        ledger.claim(item)
        ledger.fail(item, "no")
        assert ledger.claim(item, anew=True) == "failed"
