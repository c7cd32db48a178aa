"""Numbers that cannot be computed with, and text that cannot be shown, are refused at the door."""

from __future__ import annotations

import json

import pytest

from fmtool import plain_json


@pytest.mark.parametrize("value", [{"a": [1, -2.5e3, "é", None, True, {}]}, [], "x", 10**17])
def test_plain_values_pass(value):
    assert plain_json.loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"NaN", "not finite"),
        (b"[-Infinity]", "not finite"),
        (b"1e999", "not finite"),
        (b"1" * 5000, "too large"),
        (b'{"a": 18446744073709551616}', "too large"),
        (b'"\\u001b[31m"', "cannot be shown"),
        (b'{"\\n": 1}', "cannot be shown"),
        (b'[["\\ud800"]]', "cannot be shown"),
        (b"[" * 100_000, "too deeply"),
        (b"\xff", "codec"),
        (b"{", "Expecting"),
    ],
)
def test_others_do_not(raw, why):
    with pytest.raises(ValueError, match=why):
        plain_json.loads(raw)
