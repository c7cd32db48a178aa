"""The colours: contrast by WCAG 2.2, computed, in every scheme."""

from __future__ import annotations

import re

import pytest

from runtime.report.page import style

TEXT = [
    ("ink", "paper"),
    ("ink", "card"),
    ("ink", "track"),
    ("soft", "paper"),
    ("soft", "card"),
    ("ok", "okbg"),
    ("warn", "warnbg"),
    ("bad", "badbg"),
    ("accent", "card"),
    ("card", "accent"),  # the chosen layer's name
]
"""Text and what it stands on: 4.5 to 1."""

PARTS = [("edge", "card"), ("accent", "track"), ("accent", "card"), ("ink", "band")]
"""What must be seen to understand or to use the page: 3 to 1."""


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_the_standards() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colours", [style.LIGHT, style.DARK, style.PAPER])
def test_text_and_parts_stand_out(colours: dict[str, str]) -> None:
    for least, pairs in ((4.5, TEXT), (3.0, PARTS)):
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= least, (front, back)


def test_the_sheet_uses_the_colours_that_are_checked() -> None:
    used = set(re.findall(r"var\(--(\w+)\)", style.CSS))
    assert used == set(style.LIGHT) == set(style.DARK) == set(style.PAPER)
    for scheme in (style.LIGHT, style.DARK, style.PAPER):
        assert all(f"--{name}:{colour}" in style.CSS for name, colour in scheme.items())
