"""A result as FHIR R4: a DiagnosticReport, an Observation per answer, and the device behind them.

After HL7's mapping of DICOM's TID 1500 to FHIR: each measurement is an Observation with its unit in
UCUM, its algorithm as a Device, its segmented source as what it is derived from. The patient is
named by an identifier where whoever files the report gives one, else not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtool import NOTICE, __version__
from runtime import report
from runtime.documents.coding import SCHEME, Coded, concept, unit
from runtime.documents.uid import derived, derived_uuid
from runtime.report import words
from runtime.report.publish import UniqueNames, check_writable

if TYPE_CHECKING:  # the HTTP service's own process computes nothing
    from runtime.result import Result

_SYSTEMS = {
    "UCUM": "http://unitsofmeasure.org",
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    SCHEME: f"urn:oid:{derived('coding scheme', SCHEME)}",
}
_TERMS = "http://terminology.hl7.org/CodeSystem"
_BRAIN = Coded("12738006", "SCT", "Brain")
_VOLUME = Coded("118565006", "SCT", "Volume")
_MR_BRAIN = Coded("24590-2", "LN", "MR Brain")


class Records:
    """Writes a `bundle` per result into one folder.

    Args:
        folder: made if it is absent.

    Raises:
        InputError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        check_writable(folder)
        self._folder, self._names = folder, UniqueNames()

    def write(self, result: Result) -> Path:
        """Write `NAME.fhir.json`; its path."""
        return self._write(result.scan, bundle(result))

    def write_data(self, data: Mapping[str, Any]) -> Path:
        """The same of a result's plain data, which names no study."""
        return self._write(data["scan"], collection(data))

    def _write(self, scan: str, told: Mapping[str, Any]) -> Path:
        path = self._folder / f"{self._names.of(scan)}.fhir.json"
        report.write_json(path, told)
        return path


def bundle(result: Result, patient: str | None = None) -> dict[str, Any]:
    """`collection` of a result, with its study where it was read from DICOM."""
    stack = result.stack
    return collection(result.to_dict(), stack.study if stack else "", patient)


def collection(
    data: Mapping[str, Any], study_uid: str = "", patient: str | None = None
) -> dict[str, Any]:
    """The report and all that it refers to, as one Bundle of type "collection".

    The same result of the same study and patient gives the same resources, whenever it is computed.

    Args:
        data: `Result.to_dict()`.
        study_uid: of DICOM; empty where it is not known.
        patient: the identifier that the source's PACS has for the patient; None to name nobody.
    """
    # The same voxels may be two patients': one of them was sent under a wrong name, or again.
    of = [data["bundle"]["digest"], data["values"], data["embedding"], study_uid, patient]
    name = sha256(json.dumps(of).encode()).hexdigest()
    study = _study(study_uid)
    device = _entry("device", name, _device(data))
    who = {"type": "Patient", "identifier": {"value": patient}}
    subject = {"subject": who} if patient else {}
    shared = {
        "status": "preliminary",
        **subject,
        "issued": data["finished"],
        "device": {"reference": device["fullUrl"]},
        "method": {"text": _made_by(data)},
        "bodySite": _concept(_BRAIN),
        **({"derivedFrom": [study]} if study else {}),
    }
    observations = [
        _entry(f"observation {task}", name, _observation(task, value) | shared)
        for task, value in data["values"].items()
    ]
    volume = {
        "resourceType": "Observation",
        "category": [_category("observation-category", "imaging")],
        "code": _concept(_VOLUME),
        "valueQuantity": _quantity(data["facts"]["brain_volume_ml"], "ml"),
        "note": [{"text": NOTICE}],
    }
    observations.append(_entry("observation brain volume", name, volume | shared))
    sentences = [NOTICE, *data["bundle"]["limits"], *data["warnings"]]
    if data["bundle"]["demonstration"]:
        sentences.insert(1, "Demonstration bundle: its answers are not to be relied on.")
    report = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "category": [_category("v2-0074", "RAD")],
        "code": _concept(_MR_BRAIN),
        **subject,
        "issued": data["finished"],
        "result": [{"reference": one["fullUrl"]} for one in observations],
        "conclusion": " ".join(sentences),
        **({"imagingStudy": [study]} if study else {}),
    }
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": data["finished"],
        "entry": [_entry("report", name, report), *observations, device],
    }


def _observation(task: str, value: dict[str, Any]) -> dict[str, Any]:
    notes = [NOTICE, words.evidence(value), words.baseline(value), *value["warnings"]]
    made = {
        "resourceType": "Observation",
        "category": [_category("observation-category", "imaging")],
        "code": _concept(concept(task, value["classes"], value["kind"] == "ordinal")),
        "valueQuantity": _quantity(value["value"], value["unit"]),
        "note": [{"text": note} for note in notes if note],
    }
    if components := _components(value):
        made["component"] = components
    return made


def _components(value: dict[str, Any]) -> list[dict[str, Any]]:
    """What is known of this one answer: its interval, its class, what cannot be excluded."""
    found: list[dict[str, Any]] = []
    if interval := value["interval"]:
        level = f"{100 * interval['level']:.0f} % prediction interval"
        limits = {end: _quantity(interval[end], value["unit"]) for end in ("low", "high")}
        found.append({"code": {"text": level}, "valueRange": limits})
    if value["corrected"] is not None:
        corrected = _quantity(value["corrected"], value["unit"])
        text = "Without its regression to the mean"
        found.append({"code": {"text": text}, "valueQuantity": corrected})
    if value["probability"] is not None and not value["probabilities"]:
        for text, key in (
            ("Calibrated probability", "probability"),
            ("Share of the second class among scans that it assumes", "prevalence"),
        ):
            if value[key] is not None:
                share = _quantity(value[key], value["unit"])
                found.append({"code": {"text": text}, "valueQuantity": share})
    chances = value["probabilities"] or {}
    how = "Uncalibrated" if value["probability"] is None else "Calibrated"
    for name, chance in chances.items():
        share = _quantity(chance, value["unit"])
        found.append({"code": {"text": f"{how} probability of {name}"}, "valueQuantity": share})
    for name, assumed in (value.get("shares") or {}).items():
        share = _quantity(assumed, value["unit"])
        text = f"Share of {name} among scans that the probabilities assume"
        found.append({"code": {"text": text}, "valueQuantity": share})
    if value.get("score") is not None:
        score = _quantity(value["score"], "logit")
        found.append({"code": {"text": "Score"}, "valueQuantity": score})
    if value["class"] is not None:
        likelier = {"text": str(value["class"])}
        kinds = {"binary": "Likelier", "multiclass": "Likeliest", "ordinal": "Median"}
        text = f"{kinds[value['kind']]} class"
        found.append({"code": {"text": text}, "valueCodeableConcept": likelier})
    if value["prediction_set"] is not None:
        level = f"{100 * value['prediction_set_level']:.0f} % prediction set"
        members = " or ".join(value["prediction_set"]) or "neither"
        found.append({"code": {"text": level}, "valueString": members})
    return found


def _device(data: Mapping[str, Any]) -> dict[str, Any]:
    made_by = data["bundle"]
    digest = {"type": {"text": "SHA-256 of the bundle's manifest"}, "value": made_by["digest"]}
    return {
        "resourceType": "Device",
        "identifier": [digest],
        "manufacturer": "fmtool",
        "deviceName": [{"name": f"fmtool, bundle {made_by['name']}", "type": "model-name"}],
        "version": [{"value": __version__}],
        "note": [{"text": NOTICE}],
    }


def _made_by(data: Mapping[str, Any]) -> str:
    return f"fmtool {__version__}, bundle {data['bundle']['name']}; {data['engine']}"


def _study(uid: str) -> dict[str, Any] | None:
    """A study by its UID, of DICOM."""
    if not uid:
        return None
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}
    return {"type": "ImagingStudy", "identifier": identifier}


def _entry(what: str, name: str, resource: dict[str, Any]) -> dict[str, Any]:
    made = derived_uuid("fhir", what, name)
    return {"fullUrl": f"urn:uuid:{made}", "resource": resource | {"id": str(made)}}


def _concept(code: Coded) -> dict[str, Any]:
    coding = {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": code.meaning}


def _category(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{_TERMS}/{system}", "code": code}]}


def _quantity(value: float, name: str) -> dict[str, Any]:
    code = unit(name)
    number = float(f"{value:.6g}")  # more than any of this means
    return {
        "value": number,
        "unit": name if code.value != "1" else code.meaning,
        "system": _SYSTEMS[code.scheme],
        "code": code.value,
    }
