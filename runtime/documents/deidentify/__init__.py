"""De-identification of documents that leave the site: PS3.15's basic profile, and three options.

The Basic Application Level Confidentiality Profile with Clean Structured Content, Clean Descriptors
and Retain Longitudinal Temporal Information with Modified Dates (PS3.15, E.2, E.3), by the
standard's own table (`profile.txt`, made by `documentation/confidentiality.py`). By a key of the
site's, a patient and each UID get the same pseudonym in all that is sent; a patient's dates are all
shifted back by the same days, and times of day dropped.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from importlib import resources
from uuid import UUID

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag
from pydicom.valuerep import FLOAT_VR, INT_VR

from runtime.result import Result

_ORDER = ("D", "U", "Z", "X")  # of several actions the one that leaves most of an object valid
_TEXT = ("LO", "LT", "SH", "ST", "UC", "UT")
_STANDARD = "1.2.840.10008."  # what DICOM itself names
_UID = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){3,}(?![\d.])")
_MOST_DAYS = 3652
_OPTIONS = (
    codes.DCM.BasicApplicationConfidentialityProfile,
    codes.DCM.CleanStructuredContentOption,
    codes.DCM.CleanDescriptorsOption,
    codes.DCM.RetainLongitudinalTemporalInformationModifiedDatesOption,
)


@cache
def _profile() -> dict[str, tuple[str, frozenset[str]]]:
    """By tag: what is done, and which options clean the attribute instead."""
    text = resources.files(__package__).joinpath("profile.txt").read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {
        tag: (next(a for a in _ORDER if a in actions.split("/")), frozenset(options))
        for tag, actions, *options in rows
    }


class Deidentifier:
    """De-identifies what is made of one patient's series.

    Args:
        key: the site's; see `runtime.ledger.names.site_key`.
        patient: the source's PatientID, or what stands for it.
    """

    def __init__(self, key: bytes, patient: str) -> None:
        self._key = key
        self.patient = f"P{self._mac('patient', patient)[:8].hex()}"
        """The pseudonym."""
        days = int.from_bytes(self._mac("days", patient)[:4])
        self._shift = timedelta(days=1 + days % _MOST_DAYS)

    def _mac(self, what: str, text: str) -> bytes:
        words = f"{what}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, words, sha256)

    def uid(self, uid: str) -> str:
        """The UID that stands for one; those that DICOM itself gives stand for themselves."""
        if not uid or uid.startswith(_STANDARD):
            return uid
        return f"2.25.{UUID(bytes=self._mac('uid', uid)[:16], version=4).int}"

    def named(self, result: Result) -> Result:
        """A result whose study and time are as in its documents."""
        day = datetime.fromisoformat(result.finished)
        day = day.replace(hour=0, minute=0, second=0, microsecond=0) - self._shift
        stack = result.stack
        if stack is not None:
            stack = replace(stack, study=self.uid(stack.study))
        return replace(result, stack=stack, finished=day.isoformat())

    def strip(self, source: Dataset) -> None:
        """Remove of a source's header what documents would repeat in their own words."""
        for element in list(source):
            if _action(element.tag)[0] == "X":
                del source[element.tag]

    def clean(self, document: Dataset) -> None:
        """De-identify a document that fmtool made of a stripped source."""
        self._clean(document)
        document.PatientIdentityRemoved = "YES"
        document.LongitudinalTemporalInformationModified = "MODIFIED"
        document.DeidentificationMethodCodeSequence = [_item(code) for code in _OPTIONS]
        document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID

    def _clean(self, data: Dataset) -> None:
        for element in list(data):
            action, options = _action(element.tag)
            if element.VR == "SQ" and (action not in ("X", "Z") or "structure" in options):
                for item in element.value:
                    self._clean(item)
            elif "descriptor" in options and element.VR in _TEXT:
                self._own_words(element)
            elif action == "X":
                del data[element.tag]
            elif action in ("Z", "D"):
                self._dummy(element, action, "date" in options)
            elif action == "U":
                self._map(element)
            elif element.VR in _TEXT:
                self._own_words(element)

    def _dummy(self, element: DataElement, action: str, dated: bool) -> None:
        """Put a value in the place of one; an empty one where that may be."""
        if element.keyword in ("PatientID", "PatientName"):
            element.value = self.patient
        elif dated and element.VR in ("DA", "DT"):
            element.value = self._day(str(element.value or ""))
        elif action == "Z" or not element.value:
            element.value = [] if element.VR == "SQ" else None
        elif element.VR == "TM":
            element.value = "000000"
        else:
            numbers = element.VR in INT_VR | FLOAT_VR
            element.value = 0 if numbers else "ANONYMIZED"

    def _day(self, text: str) -> str:
        """A DA or DT, shifted; empty if it is none."""
        try:
            return f"{datetime.strptime(text[:8], '%Y%m%d') - self._shift:%Y%m%d}"
        except (ValueError, OverflowError):
            return ""

    def _map(self, element: DataElement) -> None:
        many = element.value if element.VM > 1 else [element.value]
        mapped = [self.uid(str(one)) for one in many if one]
        element.value = mapped if len(mapped) > 1 else next(iter(mapped), None)

    def _own_words(self, element: DataElement) -> None:
        """Map the UIDs that a text of fmtool's names."""
        if isinstance(element.value, str):
            element.value = _UID.sub(lambda found: self.uid(found[0]), element.value)


def _action(tag: BaseTag) -> tuple[str, frozenset[str]]:
    """What the profile does with an attribute, and the options that clean it instead; "" keeps."""
    if tag.is_private:
        return "X", frozenset()
    name, profile = f"{tag:08X}", _profile()
    repeating = (name, f"{name[:2]}XX{name[4:]}", f"{name[:2]}XXXXXX")
    return next((profile[n] for n in repeating if n in profile), ("", frozenset()))


def _item(code: Code) -> Dataset:
    """A code as an item of a sequence."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator = code.value, code.scheme_designator
    made.CodeMeaning = code.meaning[:64]  # the VR LO
    return made
