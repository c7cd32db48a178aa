"""An answer of several classes in SR and FHIR: a number for each, and the class in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmtool.task import DIAGNOSIS, Task
from runtime.documents import fhir, sr
from runtime.result import Prediction

CHANCES = {"CN": 0.2, "MCI": 0.7, "AD": 0.1}


@pytest.fixture
def made(make, kit):
    make.slices()
    result = kit.result(make.folder)
    answer = Prediction(
        DIAGNOSIS,
        0.6,
        {"metric": "macro AUC", "value": 0.8, "unit": "", "beats_baseline": True},
        [],
        probability=0.7,
        members=["CN", "MCI"],
        level=0.9,
        probabilities=CHANCES,
        shares={"CN": 0.5, "MCI": 0.3, "AD": 0.2},
    )
    result.predictions = {"diagnosis": answer}
    return result


def test_fhir_has_a_component_for_each_class(made):
    told = [entry["resource"] for entry in fhir.bundle(made)["entry"]]
    (one,) = (r for r in told if "component" in r)
    assert one["code"]["text"] == "Probability of the likeliest class (diagnosis), from brain MRI"
    assert one["valueQuantity"]["value"] == 0.6
    parts = {part["code"]["text"]: part for part in one["component"]}
    for name, chance in CHANCES.items():
        part = parts[f"Calibrated probability of {name}"]
        assert part["valueQuantity"]["value"] == pytest.approx(chance)
    assumed = parts["Share of MCI among scans that the probabilities assume"]
    assert assumed["valueQuantity"]["value"] == 0.3
    assert parts["Likeliest class"]["valueCodeableConcept"]["text"] == "MCI"
    assert parts["90 % prediction set"]["valueString"] == "CN or MCI"
    assert "Calibrated probability" not in parts


def test_classes_in_an_order_have_a_score_and_a_median(made):
    stage = Task("diagnosis", "ordinal", "probability", "diagnosis", classes=tuple(CHANCES))
    made.predictions = {"diagnosis": replace(made["diagnosis"], task=stage, score=0.25)}
    told = [entry["resource"] for entry in fhir.bundle(made)["entry"]]
    (one,) = (r for r in told if "component" in r)
    assert one["code"]["text"] == "Probability of the median class (diagnosis), from brain MRI"
    parts = {part["code"]["text"]: part for part in one["component"]}
    assert parts["Score"]["valueQuantity"]["value"] == 0.25
    assert parts["Median class"]["valueCodeableConcept"]["text"] == "MCI"
    text = str(sr._answer(made["diagnosis"], made, "1", None, None)[0])
    assert all(f"Probability of {name} (diagnosis), from brain MRI" in text for name in CHANCES)
    assert "diagnosis: MCI, probability 0.70, 90 %: CN or MCI" in sr._sentences(made)


def test_an_sr_measures_each_class_and_names_the_answer(made):
    group = sr._answer(made["diagnosis"], made, "1", None, None)
    text = str(group[0])
    for name in CHANCES:
        assert f"Probability of {name} (diagnosis), from brain MRI" in text
    assert "diagnosis: MCI, probability 0.70, 90 %: CN or MCI" in sr._sentences(made)
