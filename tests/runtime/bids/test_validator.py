"""The official validator, where it is installed."""

from __future__ import annotations

import json

import pytest

from fmtool.errors import CapabilityError, InputError
from runtime.bids import validator


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program in the validator's place, which prints this."""

    def make(text):
        path = tmp_path / validator.PROGRAM
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 1\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


def test_without_it_nothing_is_validated(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not validator.validate(tmp_path)


def test_its_errors_are_the_reason(program, tmp_path):
    found = [{"code": "X", "severity": "error", "location": f"/a{n}"} for n in range(5)]
    program(json.dumps({"issues": {"issues": found}}))
    with pytest.raises(InputError, match=r"X /a0, X /a1, X /a2, \.\.\.;.*--skip-bids-validation"):
        validator.validate(tmp_path)
    program(json.dumps({"issues": {"issues": [{"code": "W", "severity": "warning"}]}}))
    assert validator.validate(tmp_path)
    program("no JSON")
    with pytest.raises(CapabilityError, match="does not work"):
        validator.validate(tmp_path)
