"""Whose scans and labels set weights, and who of others is among them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from fmtool.bundle import exposure
from fmtool.bundle.exposure import UNKNOWN, BundleExposure, Exposure, scan_digest, subject_digest
from fmtool.errors import BundleError

A, B, C = (subject_digest(name) for name in "abc")
ONE, TWO = scan_digest("1"), scan_digest("2")
SEEN = Exposure(frozenset({ONE}), frozenset({A, B}), frozenset(), frozenset({B}))


def test_people_are_found_by_their_name_or_by_a_scan():
    found = SEEN.overlap({A: ["x"], B: ["y"], C: [ONE]})
    assert found.to_dict() == {"images": 3, "labels": 1, "of": 3, "complete": True}
    assert SEEN.overlap({C: [TWO]}).images == 0
    assert subject_digest("sub-A") == A != scan_digest("a")


def test_what_was_added_is_seen_and_what_is_not_known_stays_so():
    both = SEEN | Exposure(frozenset({TWO}))
    assert both.overlap({C: [TWO]}).images == 1
    assert both.complete
    assert not (both | UNKNOWN).complete


def test_it_comes_back_from_a_file_and_damage_is_refused():
    plain = json.loads(json.dumps(SEEN.to_dict()))
    assert Exposure.from_dict(plain) == SEEN
    assert Exposure.from_dict(None) == UNKNOWN
    for wrong in ({"scans": ["sub-01"]}, {"subjects": [3]}, {"complete": 1}):
        with pytest.raises(ValueError, match=r"no digest|true or false"):
            Exposure.from_dict(plain | wrong)


class OneFile:
    """As much of a bundle as has an exposure."""

    def __init__(self, content):
        self.manifest = SimpleNamespace(exposure=exposure.FILE)
        self.read, self.file = lambda name: content, lambda name: name


def test_a_bundle_says_of_each_head_what_set_it():
    told = BundleExposure(SEEN, {"age": Exposure(frozenset({TWO}))})
    assert exposure.read(OneFile(bytes(told))) == told
    assert told.of("age") == SEEN | Exposure(frozenset({TWO}))
    assert told.of("sex") == SEEN | UNKNOWN
    for wrong in (b"", b"[]", b"{}", b'{"encoder": {}, "tasks": {}}', b'{"tasks": 3}'):
        with pytest.raises(BundleError, match=r"exposure\.json is damaged"):
            exposure.read(OneFile(wrong))


def test_of_several_encoders_a_heads_own_counts():
    age, sex = Exposure(labelled_scans=frozenset({ONE})), Exposure(frozenset({TWO}))
    heads = {"age": Exposure(), "sex": Exposure()}
    told = BundleExposure(age | sex, heads, {"age": age, "sex": sex})
    assert exposure.read(OneFile(bytes(told))) == told
    assert told.below("age") == told.of("age") == age
    assert told.of("sex") == sex
    assert told.of("gap") == age | sex | UNKNOWN
    wrong = json.dumps(json.loads(bytes(told)) | {"encoders": {"age": {}}}).encode()
    with pytest.raises(BundleError, match=r"exposure\.json is damaged"):
        exposure.read(OneFile(wrong))


@pytest.mark.parametrize(
    ("found", "unseen", "words"),
    [
        (None, False, "is not recorded"),
        ({"images": 0, "labels": 0, "of": 9, "complete": False}, False, "is not recorded"),
        ({"images": 4, "labels": 0, "of": 9, "complete": False}, False, "images of 4 of these 9"),
        ({"images": 0, "labels": 0, "of": 9, "complete": True}, True, "none of these"),
    ],
)
def test_it_is_told_in_words(found, unseen, words):
    evidence = {"exposure": found} if found else {}
    assert words in exposure.sentence(evidence)
    assert exposure.unseen(evidence) is unseen
