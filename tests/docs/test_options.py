"""The options: the same thing has one name in every verb."""

from __future__ import annotations

from collections import defaultdict

from documentation.made import HOMONYMS, by_name
from documentation.verbs import options

OPTIONS = list(options())


def test_every_option_is_in_the_table():
    rows = [line.split(" | ") for line in by_name().splitlines()]
    shown = {
        (row[0].split("`")[1], verb)
        for row in rows[2:]
        for verb in row[4].removesuffix(" |").split(", ")
    }
    assert shown == {(option.name, option.verb) for option in OPTIONS}


def test_a_name_means_one_thing_or_it_is_said_what_it_means():
    kinds = defaultdict(set)
    for option in OPTIONS:
        kinds[option.name].add((option.takes, option.several, option.short))
    differ = {name for name, found in kinds.items() if len(found) > 1}
    assert differ - HOMONYMS.keys() == set()
    assert HOMONYMS.keys() <= kinds.keys()


# One thing each; what a verb does with it is in its help.
WORDED_BY_VERB = {
    "--any-client", "--bundle", "--cache", "--covariate", "--encoder", "--engines", "--force",
    "--inbox", "--json", "--keep-days", "--labels", "--min-free", "--report", "--rtx", "--settle",
    "--split", "--spool", "--target", "--tensorrt", "--tls-cert",
}  # fmt: skip


def test_a_name_with_several_explanations_has_been_looked_at():
    said = defaultdict(set)
    for option in OPTIONS:
        said[option.name].add(option.text)
    several = {name for name, texts in said.items() if len(texts) > 1}
    assert several - HOMONYMS.keys() == WORDED_BY_VERB


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
