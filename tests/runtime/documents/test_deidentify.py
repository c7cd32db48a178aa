"""De-identification: what is planted is in no byte of what leaves; what must agree does."""

from __future__ import annotations

import io
import json
import re
from datetime import date
from functools import cache

import pytest

pytest.importorskip("pydicom")
pytest.importorskip("pynetdicom")

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from documentation import confidentiality
from runtime.documents import deidentify
from runtime.documents.deidentify import Deidentifier
from runtime.service.answer import Order
from runtime.service.node.documents import documents

KEY = b"k" * 32
PROFILE = [line.split() for line in confidentiality.OUT.read_text().splitlines() if line[0] != "#"]
_KEPT = {  # of which the source needs its own to be read; what they hold is looked for as it is
    "00080018", "0020000D", "0020000E", "00200052", "00020003", "00080022", "00080023", "00100020",
}  # fmt: skip
_VALUES = {
    "PN": "Plantedname^{n}", "DA": "1987{m:02d}{d:02d}", "TM": "2113{s:02d}",
    "DT": "1987{m:02d}{d:02d}2113{s:02d}", "UI": "1.2.826.0.1.777.{n}", "AE": "PLANTED{n}",
    "CS": "PLANTED{n}", "AS": "09{a}Y", "UR": "http://planted/{n}",
}  # fmt: skip


def planted(data, depth=1):
    """Plant a value in every attribute of the profile, in private ones and in an item of each
    sequence; the values.
    """
    told = []

    def value(vr, n):
        text = _VALUES.get(vr, "Planted{n}").format(
            n=n, m=1 + n % 12, d=10 + n % 18, s=10 + n % 49, a=n % 10
        )
        told.append(text)
        return text

    for n, (name, *_) in enumerate(PROFILE, 1000 * depth):
        if "X" in name or name in _KEPT or name < "00080000":
            continue
        tag = Tag(int(name, 16))
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else "LO"
        if vr == "SQ":
            if depth == 1:
                item = Dataset()
                told += planted(item, 2)
                data.add_new(tag, "SQ", [item])
        elif vr in {*_VALUES, "LO", "SH", "LT", "ST", "UT", "UC"}:
            data.add_new(tag, vr, value(vr, n))
    block = data.private_block(0x0029, "PLANTEDCREATOR", create=True)
    told.append("PLANTEDCREATOR")
    block.add_new(1, "LO", value("LO", 9000 + depth))
    block.add_new(2, "UN", value("LO", 9100 + depth).encode())
    return told


@pytest.fixture(scope="module", params=["slices", pytest.param("enhanced", marks=pytest.mark.slow)])
def leaving(request, kit, tmp_path_factory):
    """`leaving(key)`: the documents of a series with planted values; `values`: those."""
    maker, values = kit.maker(tmp_path_factory.mktemp("planted") / "study"), []
    # The object whose header the documents take.
    getattr(maker, request.param)(edit=lambda data, k=0: k or values.extend(planted(data)))
    one = dcmread(min(maker.folder.glob("*.dcm")))
    values += [
        str(one[word].value)
        for word in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    ]
    values += [str(dcmread(f).SOPInstanceUID) for f in maker.folder.glob("*.dcm")]
    result = kit.result(maker.folder)
    inbox = maker.folder.parent / "answering" / "series"
    inbox.parent.mkdir()
    maker.folder.rename(inbox)
    order = Order(inbox, inbox, "s", "c")

    @cache
    def made(key):
        return documents(order, result, None, fhir=True, key=key)

    made.values = {v for text in values for v in (text, *text.split("^"))}
    return made


def test_nothing_that_identifies_leaves(leaving):
    found = b"".join(leaving(None).values())
    assert sum(v.encode() in found for v in leaving.values) > 10  # without it, much does
    for name, given in leaving(KEY).items():
        data = re.sub(rb"2\.25\.\d+", b"", given)  # in whose digits any time or day may stand
        assert [v for v in leaving.values if len(v) > 4 and v.encode() in data] == [], name
        assert b"lanted" not in data
        assert b"PLANTED" not in data


def test_what_must_agree_does(leaving):
    made = leaving(KEY)
    read = [dcmread(io.BytesIO(data)) for name, data in made.items() if name.endswith(".dcm")]
    assert {ds.SOPClassUID.keyword for ds in read} == {
        "ComprehensiveSRStorage", "SecondaryCaptureImageStorage", "SegmentationStorage",
        "ParametricMapStorage",
    }  # fmt: skip
    for keyword in ("PatientID", "StudyInstanceUID"):
        assert len({ds[keyword].value for ds in read}) == 1
    assert {str(ds.PatientName) for ds in read} == {read[0].PatientID}
    report, mask = read[0], read[2]
    text = report.to_json()
    assert mask.SOPInstanceUID in text
    for uid in {mask.FrameOfReferenceUID, read[3].FrameOfReferenceUID}:
        assert uid.startswith("2.25.")
    series = mask.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert f"(SeriesInstanceUID {series})" in text
    for ds in read:
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.PatientIdentityRemoved == "YES"
        codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113104", "113105", "113107"]
        assert "fmtool" in ds.SeriesDescription
        assert not ds.PatientBirthDate
        assert not ds.get("PatientAge")
    (told,) = (json.loads(data) for name, data in made.items() if name.endswith(".fhir"))
    assert f"urn:oid:{report.StudyInstanceUID}" in json.dumps(told)
    assert read[0].PatientID in json.dumps(told)


def test_a_key_decides(leaving):
    one, other = (dcmread(io.BytesIO(leaving(key)["1.dcm"])) for key in (KEY, b"o" * 32))
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.PatientID != other.PatientID


def test_dates_of_a_patient_keep_their_distance():
    here = Deidentifier(KEY, "A")
    days = []
    for text in ("20200102", "20200229", "20211231"):
        ds = _document(StudyDate=text, StudyTime="101112", ContentTime="101112",
                       PatientBirthDate="19700101")  # fmt: skip
        here.clean(ds)
        days.append(
            date.fromisoformat(f"{ds.StudyDate[:4]}-{ds.StudyDate[4:6]}-{ds.StudyDate[6:]}")
        )
        assert (ds.StudyTime, ds.ContentTime, ds.PatientBirthDate) == (None, "000000", None) or (
            not ds.StudyTime and not ds.PatientBirthDate
        )
        assert days[-1] < date(2020, 1, 2) or len(days) == 3
    assert (days[1] - days[0]).days == (date(2020, 2, 29) - date(2020, 1, 2)).days
    assert (days[2] - days[0]).days == (date(2021, 12, 31) - date(2020, 1, 2)).days


@pytest.mark.parametrize("day", ["", "2020", "99999999", "00010102", "twelve"])
def test_a_date_that_is_none_is_left_empty(day):
    ds = _document()
    ds.add_new("StudyDate", "DA", day)
    Deidentifier(KEY, "A").clean(ds)
    assert not ds.StudyDate


def test_what_dicom_names_keeps_its_name():
    here = Deidentifier(KEY, "A")
    assert here.uid("1.2.840.10008.5.1.4.1.1.4") == "1.2.840.10008.5.1.4.1.1.4"
    assert re.fullmatch(r"2\.25\.\d{1,39}", here.uid("1.2.3.4"))
    ds = _document(SeriesDescription="of 1.2.3.4.5, version 1.2.3, 1.2.840.10008.1.1")
    here.clean(ds)
    mapped = here.uid("1.2.3.4.5")
    assert ds.SeriesDescription == f"of {mapped}, version 1.2.3, 1.2.840.10008.1.1"


def test_overlays_curves_and_private_attributes_go():
    ds = _document()
    ds.add_new(0x60020010, "US", 4)
    for tag in (0x60023000, 0x60024000, 0x50020010):
        ds.add_new(tag, "LO", "planted")
    ds.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", "planted")
    Deidentifier(KEY, "A").clean(ds)
    assert [f"{e.tag:08X}" for e in ds if e.tag.group > 0x4000 or e.tag.is_private] == ["60020010"]


def test_the_table_is_the_script_s():
    lines = confidentiality.table(
        [
            {"id": "00100010", "basicProfile": "Z"},
            {"id": "0020000e", "basicProfile": "U", "rtnUIDsOpt": "K"},
            {"id": "00080020", "basicProfile": "Z", "rtnLongModifDatesOpt": "C"},
            {"id": "ggggeeee-where-gggg-is-odd", "basicProfile": "X"},
            {"id": "00081140", "basicProfile": "X/Z/U*"},
        ],
        "2024e",
    ).splitlines()
    assert lines[1:] == ["00080020 Z date", "00081140 X/Z/U", "00100010 Z", "0020000E U"]
    assert set(lines[1:]) <= set(confidentiality.OUT.read_text().splitlines())
    assert len(deidentify._profile()) == len(PROFILE) == 620


def _document(**values):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPInstanceUID = "1.2.3"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds
