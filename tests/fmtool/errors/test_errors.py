"""A sentence quotes what others wrote, and no terminal obeys it."""

from __future__ import annotations

import pytest

from fmtool.errors import InputError, LedgerError, ToleranceError, shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain é 図", "plain é 図"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("two\nlines\r\0", r"two\nlines\r\x00"),
        ("turned \u202e round \u2028", r"turned \u202e round \u2028"),
        ("half \udcff", r"half \udcff"),
    ],
)
def test_what_would_be_obeyed_is_escaped(text, told):
    assert shown(text) == told
    assert str(InputError(text)) == str(LedgerError(text)) == told
    assert str(ToleranceError(text, "age", 1.0, 0.1, "none", 1)) == told
