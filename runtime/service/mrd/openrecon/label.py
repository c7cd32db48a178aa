"""The application's specification: what a console knows of the container before it runs it.

An image carries it as a label, base64 on one line; newer consoles read it as a file. `complaints`
are the rules that consoles were seen to enforce.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from fmtool import NOTICE, __version__
from runtime.service.mrd.parameters import SWITCHES
from runtime.service.mrd.service import PORT

LABEL = "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"
VENDOR, NAME = "fmtool", "fmtool"

MEMORY_MB = 4096
"""What a console sets aside, above what `python -m benchmarks.scanner bars` finds at the peak."""

CORES = 2

MOST_PARAMETERS = 14
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_REGULATORY = (
    "device_trade_name", "production_identifier", "manufacturer_address", "made_in",
    "manufacture_date", "material_number", "gtin", "udi", "safety_advices",
    "special_operating_instructions", "additional_relevant_information",
)  # fmt: skip
_NEEDED = {
    "boolean": {"type", "id", "label", "default"},
    "int": {"type", "id", "label", "default", "minimum", "maximum"},
    "double": {"type", "id", "label", "default", "minimum", "maximum"},
    "choice": {"type", "id", "label", "default", "values"},
    "string": {"type", "id", "label"},
}
_ALLOWED = {
    "boolean": {"information"},
    "int": {"information", "unit"},
    "double": {"information", "unit"},
    "choice": {"information"},
    "string": {"information", "default", "isLargeText"},
}


def specification(bundle: str, created: str) -> dict[str, Any]:
    """The application as a console is told of it.

    Args:
        bundle: the bundle's name.
        created: the day that the bundle was made, such as "2026-01-31".
    """
    said = {
        "device_trade_name": NAME,
        "production_identifier": __version__,
        "manufacture_date": created,
        "safety_advices": NOTICE,
    }
    return {
        "general": {
            "name": {"en": f"{NAME}, {bundle}"},
            "version": __version__,
            "vendor": VENDOR,
            "information": {"en": f"A head's foundation model, {bundle}, on the scanner. {NOTICE}"},
            "id": NAME,
            "regulatory_information": {name: said.get(name, "none") for name in _REGULATORY},
        },
        "reconstruction": {
            "transfer_protocol": {"protocol": "ISMRMRD", "version": "1.4.1"},
            "port": PORT,
            "emitter": "image",
            "injector": "image",
            "can_process_adjustment_data": False,
            "can_use_gpu": False,
            "min_count_required_gpus": 0,
            "min_required_gpu_memory": 0,
            "min_required_memory": MEMORY_MB,
            "min_count_required_cpu_cores": CORES,
            "content_qualification_type": "RESEARCH",
        },
        "parameters": [
            {
                "id": switch.id,
                "type": "boolean",
                "label": {"en": switch.label},
                "information": {"en": switch.information},
                "default": switch.default,
            }
            for switch in SWITCHES
        ],
    }


def label(found: Mapping[str, Any]) -> str:
    """The specification as an image's label, NAME=VALUE."""
    value = base64.b64encode(json.dumps(found, separators=(",", ":")).encode()).decode()
    return f"{LABEL}={value}"


def complaints(found: Mapping[str, Any]) -> list[str]:
    """What a console would refuse of a specification, in sentences; empty if nothing."""
    said = []
    if not _VERSION.match(found["general"]["version"]):
        said.append("its version is not of three numbers")
    lacking = set(_REGULATORY) - found["general"]["regulatory_information"].keys()
    said += [f"it says nothing of {name}" for name in sorted(lacking)]
    recon = found["reconstruction"]
    if recon["content_qualification_type"] != "RESEARCH":
        said.append("it is no research")
    if recon["transfer_protocol"] != {"protocol": "ISMRMRD", "version": "1.4.1"}:
        said.append("its protocol is not ISMRMRD 1.4.1")
    parameters = found["parameters"]
    if len(parameters) > MOST_PARAMETERS:
        said.append(f"{len(parameters)} parameters, where {MOST_PARAMETERS} fit")
    ids = [parameter["id"] for parameter in parameters]
    said += [f"two parameters are called {name}" for name in sorted({*ids}) if ids.count(name) > 1]
    return said + [why for parameter in parameters for why in _of_parameter(parameter)]


def _of_parameter(one: Mapping[str, Any]) -> list[str]:
    name, kind = one["id"], one["type"]
    said = []
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        said.append(f"the id {name} is not of letters and digits")
    if kind not in _NEEDED:
        return [*said, f"{name} is of no kind that there is ({kind})"]
    said += [f"{name} has no {lack}" for lack in sorted(_NEEDED[kind] - one.keys())]
    said += [
        f"{name} has a {more} that is unknown"
        for more in sorted(one.keys() - _NEEDED[kind] - _ALLOWED[kind])
    ]
    if "unit" in one and not 1 <= len(one["unit"]["en"]) <= 3:
        said.append(f"the unit of {name} is not of 1 to 3 characters")
    if kind == "choice" and one.get("default") not in [v["id"] for v in one.get("values", [])]:
        said.append(f"the default of {name} is none of its choices' ids")
    if kind == "double":
        steps = [10 * float(one[n]) for n in ("default", "minimum", "maximum") if n in one]
        if any(abs(step - round(step)) > 1e-9 for step in steps):
            said.append(f"{name} is not in steps of 0.1")
    if kind in ("int", "double") and not (
        one.get("minimum", 0) <= one.get("default", 0) <= one.get("maximum", 0)
    ):
        said.append(f"the default of {name} is not between its limits")
    return said
