"""The options: the page is what the verbs say, and the same thing has one name."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from fmtool.cli.reference import HOMONYMS, options, page

OPTIONS = list(options())
PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_page_is_what_the_verbs_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make tables`"


def test_a_name_means_one_thing_or_it_is_said_what_it_means():
    kinds = defaultdict(set)
    for option in OPTIONS:
        kinds[option.name].add((option.takes, option.several, option.short))
    differ = {name for name, found in kinds.items() if len(found) > 1}
    assert differ - HOMONYMS.keys() == set()
    assert HOMONYMS.keys() <= kinds.keys()


def test_the_same_thing_has_one_name():
    names = defaultdict(set)
    for option in OPTIONS:
        names[option.text].add(option.name)
    assert {text: found for text, found in names.items() if len(found) > 1} == {}


def test_a_short_name_stands_for_one_long_one():
    long = defaultdict(set)
    for option in OPTIONS:
        if option.short:
            long[option.short].add(option.name)
    assert {short: found for short, found in long.items() if len(found) > 1} == {}


def test_every_option_is_explained():
    assert [f"{o.verb} {o.name}" for o in OPTIONS if not o.text] == []
    assert {o.verb for o in OPTIONS} > {"predict", "train probe", "serve dicom", "bundle show"}
