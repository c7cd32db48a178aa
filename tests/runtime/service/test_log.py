"""Logs: one JSON object a line, nobody's name in it, and never without bound."""

from __future__ import annotations

import json
import logging

import pytest

from fmtool.errors import InputError
from runtime.ledger import Identifiers
from runtime.service.log import LEVELS, configure, tell

logger = logging.getLogger("fmtool.test")


@pytest.fixture
def lines(tmp_path):
    """`lines(Identifiers.drop)`: log to a file; calling what it gives reads the lines."""
    made = []

    def start(identifiers=Identifiers.drop, **limits):
        handler = configure(tmp_path / "logs" / "fmtool.log", identifiers, **limits)
        made.append(handler)
        return lambda: [json.loads(x) for x in (tmp_path / "logs" / "fmtool.log").open()]

    yield start
    for handler in made:
        handler.close()
        for name in LEVELS:
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).propagate = True


def test_an_event_has_its_time_its_level_and_its_facts(lines):
    read = lines()
    tell(logger, "scan_done", item="abc", seconds={"read": 0.1})
    (line,) = read()
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "event": "scan_done", "item": "abc", "seconds": {"read": 0.1}}


@pytest.mark.parametrize("identifiers", list(Identifiers))
def test_a_name_is_kept_hashed_or_dropped(lines, identifiers):
    read = lines(identifiers)
    for _ in range(2):
        tell(logger, "seen", logging.WARNING, name="Smith_J.nii", reason="Smith_J.nii is empty")
    tell(logger, "seen", name="Jones_K.nii")
    first, again, other = read()
    assert (first.get("name") == "Smith_J.nii") == (identifiers == "keep")
    assert ("reason" in first) == (identifiers == "keep")
    assert ("name" in first) == (identifiers != "drop")
    if identifiers == "hash":
        assert first["name"] == again["name"] != other["name"]
        assert len(first["name"]) == 12


def test_what_others_say_is_not_passed_on(lines):
    read = lines()
    logger.warning("cannot read %s", "Smith_J.nii")
    try:
        raise ValueError("Smith_J.nii")
    except ValueError:
        logger.exception("Smith_J.nii failed")
    said, failed = read()
    assert said["event"] == failed["event"] == "message"
    assert failed["exception"] == "ValueError"
    assert failed["where"].startswith("test_log.py:")
    assert "Smith" not in json.dumps([said, failed])


def test_kept_identifiers_keep_the_words_and_the_traceback(lines):
    read = lines(Identifiers.keep)
    try:
        raise ValueError("Smith_J.nii")
    except ValueError:
        logger.exception("%s failed", "Smith_J.nii")
    (line,) = read()
    assert line["text"] == "Smith_J.nii failed"
    assert "ValueError: Smith_J.nii" in line["traceback"]


def test_a_log_is_rotated_and_only_its_owner_reads_it(lines, tmp_path):
    lines(max_bytes=1000, kept=2)
    for number in range(200):
        tell(logger, "seen", item=number)
    files = sorted((tmp_path / "logs").iterdir())
    assert [f.name for f in files] == ["fmtool.log", "fmtool.log.1", "fmtool.log.2"]
    assert all(f.stat().st_size <= 1000 for f in files)
    assert all(f.stat().st_mode & 0o077 == 0 for f in files)


def test_a_log_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the log"):
        configure(tmp_path / "file" / "fmtool.log")


def test_a_full_disk_costs_lines_and_says_so_once(lines, capsys, monkeypatch):
    lines()
    (handler,) = logging.getLogger("fmtool").handlers

    def full(text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(handler.stream, "write", full, raising=False)
    for _ in range(3):
        tell(logger, "seen")
    assert capsys.readouterr().err.count("No space left") == 1
