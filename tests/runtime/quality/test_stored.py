"""A refusal that was overruled when a folder was prepared binds who reads the folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fmtool.errors import InputError
from runtime.quality import refusals
from runtime.quality.check import Check

REFUSED = Check("T1 contrast", -1.5, "SD", (1.1, 2.5), "refuse", "This is T2-weighted.")
UNKNOWN = Check("Registration", np.nan, "", (0.3, 0.7), "refuse", "It failed.")


def stored(folder, *checks):
    text = json.dumps({"facts": {}, "checks": [check.to_dict() for check in checks]})
    (folder / "preprocess.json").write_text(text)
    return folder


def test_refusals_come_back_and_nothing_else(tmp_path):
    warned = Check("Noise", 9.5, "%", (0.8, 9.0), "warn", "It is high.")
    first, second = refusals(stored(tmp_path, REFUSED, warned, UNKNOWN))
    assert first == REFUSED
    assert np.isnan(second.value)
    assert second.sentence == UNKNOWN.sentence


def test_folders_of_other_makers_have_none(tmp_path):
    assert refusals(tmp_path) == []
    (tmp_path / "preprocess.json").write_text('{"facts": {}}')
    assert refusals(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"checks": 3}',
        '{"checks": [{}]}',
        '{"checks": [{"verdict": "refuse", "name": "x"}]}',
        '{"checks": [{"verdict": "refuse", "name": "x", "unit": "", "sentence": "", "value": [],'
        ' "range": [0, 1]}]}',
        '{"checks": [], "more": "' + "x" * (1 << 20) + '"}',
    ],
)
def test_a_damaged_file_is_said(tmp_path, text):
    (tmp_path / "preprocess.json").write_text(text)
    with pytest.raises(InputError, match=r"preprocess\.json cannot be read"):
        refusals(tmp_path)
