"""FHIR R4: what a validator takes, and the specification's rules that it does not check.

`pip install fhir.resources` for the validator.
"""

from __future__ import annotations

import json
import re

import pytest

from fmtool import NOTICE
from fmtool.errors import InputError
from runtime.documents import fhir


@pytest.fixture
def made(make, kit):
    make.slices()
    return kit.result(make.folder)


def resources(bundle):
    found = {}
    for entry in bundle["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from walk(inner)


def test_a_validator_takes_it(made):
    bundles = pytest.importorskip(
        "fhir.resources.R4B.bundle", reason="fhir.resources is absent: pip install fhir.resources"
    )
    told = fhir.bundle(made)
    read = bundles.Bundle.model_validate_json(json.dumps(told))
    assert len(read.entry) == 5
    del told["entry"][0]["resource"]["status"]
    with pytest.raises(ValueError, match="status"):
        bundles.Bundle.model_validate_json(json.dumps(told))


def test_an_answer_is_an_observation_with_its_unit_device_and_notice(made):
    value = made.predictions["age"]
    told = fhir.bundle(made)
    found = resources(told)
    age, sex, volume = found["Observation"]
    (device,) = found["Device"]
    (report,) = found["DiagnosticReport"]
    assert age["valueQuantity"] == {
        "value": float(f"{value.value:.6g}"), "unit": "years",
        "system": "http://unitsofmeasure.org", "code": "a",
    }  # fmt: skip
    assert age["code"]["coding"][0]["code"] == "age"
    assert sex["valueQuantity"]["code"] == "1"
    assert volume["valueQuantity"]["code"] == "mL"
    assert {"code": {"text": "Likelier class"}, "valueCodeableConcept": {"text": "F"}} in sex[
        "component"
    ]
    assert device["identifier"][0]["value"] == made.bundle["digest"]
    assert all(NOTICE in json.dumps(one["note"]) for one in (age, sex, volume, device))
    assert report["conclusion"].startswith(NOTICE)
    assert "A word." in json.dumps(age["note"])
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{made.stack.study}"}
    assert report["imagingStudy"] == [{"type": "ImagingStudy", "identifier": study}]
    assert age["derivedFrom"] == report["imagingStudy"]
    assert "Planted" not in json.dumps(told)
    assert "PLANTED" not in json.dumps(told)


def test_the_specification_s_rules(made):
    """References resolve in the bundle, ids and instants are well formed, nothing is empty."""
    told = fhir.bundle(made)
    urls = [entry["fullUrl"] for entry in told["entry"]]
    assert len(set(urls)) == len(urls)
    for entry in told["entry"]:
        assert entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", entry["resource"]["id"])
    for part in walk(told):
        assert part not in ({}, [])
        if isinstance(part, dict):
            assert None not in part.values()
            assert part.get("reference", urls[0]) in urls
            instant = part.get("issued", "2026-01-01T00:00:00.000+00:00")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", instant)
    for one in resources(told)["Observation"]:  # obs-7, and a value of one kind
        assert sum(key.startswith("value") for key in one) == 1
        for component in one.get("component", ()):
            assert sum(key.startswith("value") for key in component) == 1


def test_what_a_probability_assumes_is_said(made):
    made.predictions["sex"].probability, made.predictions["sex"].prevalence = 0.2, 0.4
    _, sex, _ = resources(fhir.bundle(made))["Observation"]
    assert [c["valueQuantity"]["value"] for c in sex["component"] if "valueQuantity" in c] == [
        0.2,
        0.4,
    ]


def test_the_same_result_is_the_same_resources(made):
    first, second = fhir.bundle(made), fhir.bundle(made)
    assert [e["fullUrl"] for e in first["entry"]] == [e["fullUrl"] for e in second["entry"]]
    made.predictions["age"].value += 1
    third = fhir.bundle(made)
    assert not {e["fullUrl"] for e in first["entry"]} & {e["fullUrl"] for e in third["entry"]}


def test_two_patients_or_studies_never_share_a_resource(made):
    """A server that has one already does not make it again: the other's would be nobody's."""
    data = made.to_dict()
    told = [fhir.collection(data, *of) for of in (("1.2", "A"), ("1.2", "B"), ("1.3", "A"))]
    urls = [{entry["fullUrl"] for entry in one["entry"]} for one in told]
    assert len(set.union(*urls)) == sum(map(len, urls))


def test_a_file_per_scan_of_a_name_of_its_own(made, tmp_path):
    records = fhir.Records(tmp_path / "fhir")
    made.scan = "/a/head.nii.gz"
    paths = [records.write(made) for _ in range(2)]
    assert [path.name for path in paths] == ["head.fhir.json", "head-2.fhir.json"]
    assert json.loads(paths[0].read_text())["resourceType"] == "Bundle"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        fhir.Records(tmp_path / "file")
