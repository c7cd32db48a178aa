"""From a complete series to the documents at the peer: answered once, whatever comes between."""

from __future__ import annotations

import json
import shutil
import time

import highdicom
import pytest
from pydicom import config, dcmread

from fmtool import NOTICE
from fmtool.errors import InputError
from runtime.documents import page, source, sr
from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes
from runtime.result import Failure
from runtime.service.node import outgoing
from runtime.service.status import status


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(outgoing, "_FIRST_S", 0.2)


def test_a_series_is_answered_with_a_report_and_a_page(run_node, kit, pacs):
    sent = list(kit.objects(3))
    with run_node(peer=pacs.peer) as node:
        kit.send(node, sent)
        node.wait("sent")
        report, page = sorted(pacs.received, key=lambda ds: ds.Modality, reverse=True)
        assert not node.files("outgoing")
        (answered,) = (node.inbox / "answered").iterdir()
        assert len(list(answered.iterdir())) == 3
    for ds in (report, page):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID",
                        "StudyDate", "AccessionNumber", "StudyID"):  # fmt: skip
            assert ds[keyword].value == sent[0][keyword].value, keyword
        assert ds.SeriesInstanceUID != sent[0].SeriesInstanceUID
        assert ds.SOPInstanceUID.startswith("2.25.")

    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [item.SeriesInstanceUID for item in evidence] == [sent[0].SeriesInstanceUID]
    referenced = {item.ReferencedSOPInstanceUID for item in evidence[0].ReferencedSOPSequence}
    assert referenced == {ds.SOPInstanceUID for ds in sent}

    read = highdicom.sr.ComprehensiveSR.from_dataset(report).content
    groups = read.get_image_measurement_groups()
    (age,) = groups[0].get_measurements()
    assert (age.value, age.unit.value, age.unit.scheme_designator) == (41.2346, "a", "UCUM")
    assert age.name.meaning == "Predicted age, from brain MRI"
    (sex,) = groups[1].get_measurements()
    assert (sex.value, sex.unit.value) == (0.25, "1")
    assert sex.name.meaning == "Probability of M (sex), from brain MRI"
    text = report.to_json()
    for wanted in (NOTICE, "ab" * 32, "demo", "No better than its baseline.", "A check warned."):
        assert wanted in text

    assert page.pixel_array.shape[2] == 3
    assert page.pixel_array.std() > 5
    assert page.BurnedInAnnotation == "NO"


@pytest.mark.parametrize(
    ("charset", "name"),
    [("", "Plain^Name"), ("ISO_IR 100", "Müller^Jürgen"), ("ISO_IR 192", "山田^太郎"),
     (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)  # fmt: skip
def test_names_of_any_alphabet_come_back(kit, tmp_path, charset, name):
    (ds,) = kit.objects(1)
    ds.SpecificCharacterSet, ds.PatientName = charset, name
    ds.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    result = kit.result()
    result.warnings.append("5 µm ± 1 – more than ASCII")
    headers = source.read(tmp_path)
    for number, made in enumerate(
        [sr.report(result, headers, "a"), page.page(result, headers.first, "a")]
    ):
        made.save_as(tmp_path / f"{number}.made", enforce_file_format=True)
        got = dcmread(tmp_path / f"{number}.made")
        assert got.PatientName == name
    report = highdicom.sr.ComprehensiveSR.from_dataset(dcmread(tmp_path / "0.made"))
    assert result.warnings[-1] in [item.get("TextValue") for item in report.ContentSequence]


def test_headers_that_a_scanner_left_out_are_empty_in_the_documents(kit, tmp_path):
    absent = ("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "PatientBirthDate",
              "PatientID", "PatientName", "PatientSex", "ReferringPhysicianName")  # fmt: skip
    for number, ds in enumerate(kit.objects(3)):
        for keyword in absent:
            delattr(ds, keyword)
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    headers = source.read(tmp_path)
    for made in (
        sr.report(kit.result(), headers, "a"),
        page.page(kit.result(), headers.first, "a"),
    ):
        assert made.StudyInstanceUID == ds.StudyInstanceUID
        assert all(not made.get(keyword) for keyword in absent)


def test_what_is_logged_and_named_tells_no_patient(run_node, kit, pacs):
    def answer(folder):
        if len(list(folder.iterdir())) == 1:
            raise InputError(f"no head in {dcmread(next(folder.iterdir())).PatientName}")
        return kit.result(folder.name)

    odd = {"PatientSex": "CS", "StudyTime": "TM", "PatientAge": "AS", "PatientBirthDate": "DA"}
    with run_node(answer=answer, peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("quarantined")
        with config.disable_value_validation():
            strange = list(kit.objects(2))
            for ds in strange:
                for keyword, vr in odd.items():
                    ds.add_new(keyword, vr, "PLANTED")
            kit.send(node, strange)
        node.wait("sent")
        names = " ".join(str(path) for path in node.inbox.rglob("*"))
        assert "planted" not in (node.log + names).lower()
        for file in node.inbox.glob("ledger.sqlite*"):
            assert b"planted" not in file.read_bytes().lower()
        (reason,) = (node.inbox / "quarantine").glob("*.json")
        assert (
            "Planted^Patient" in json.loads(reason.read_text(encoding="utf-8"))["reason"]
        )  # stays with the data


@pytest.mark.parametrize("how", ["failure", "error", "defect"])
def test_one_bad_series_never_stops_the_next(run_node, kit, pacs, how):
    def answer(folder):
        if len(list(folder.iterdir())) == 2:
            return kit.result(folder.name)
        if how == "failure":
            return Failure(folder.name, "a slice is missing")
        raise InputError("a slice is missing") if how == "error" else RuntimeError("a slice")

    with run_node(answer=answer, peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("quarantined")
        kit.send(node, kit.objects(2))
        node.wait("sent")
        (folder,) = (p for p in (node.inbox / "quarantine").iterdir() if p.is_dir())
        reason = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
        assert "a slice" in reason["reason"]
        assert not list((node.inbox / "answering").iterdir())


def test_a_series_that_grows_after_its_answer_is_answered_anew_and_whole(run_node, kit, pacs):
    seen = []

    def answer(folder):
        seen.append(len(list(folder.iterdir())))
        return Failure(folder.name, "too few") if seen[-1] < 2 else kit.result(folder.name)

    one, two, three = kit.objects(3)
    with run_node(answer=answer, peer=pacs.peer) as node:
        kit.send(node, [one])
        node.wait("quarantined")
        kit.send(node, [two])
        node.wait("answered")
        kit.send(node, [one, two])  # nothing new
        time.sleep(0.6)
        kit.send(node, [three])
        node.wait("answered", 2)
        node.wait("sent", 2)
        assert seen == [1, 2, 3]
        assert [p.name for p in (node.inbox / "quarantine").iterdir()] == []
    assert len({ds.SOPInstanceUID for ds in pacs.received}) == 4
    with Ledger(node.inbox / "ledger.sqlite") as ledger:
        put_aside, *answers = outcomes(ledger)
    assert "says why" in put_aside["error"]
    assert [data["values"]["age"]["value"] for data in answers] == [pytest.approx(41.2345678)] * 2
    assert len({data["content"] for data in (put_aside, *answers)}) == 3


def test_what_is_moved_out_of_quarantine_is_answered_and_recorded_anew(run_node, kit):
    good = []

    def answer(folder):
        return kit.result(folder.name) if good else Failure(folder.name, "not yet")

    with run_node(answer=answer) as node:
        kit.send(node, kit.objects(1))
        (line,) = node.wait("quarantined")
        good.append(True)
        series = node.inbox / "quarantine" / line["series"]
        series.rename(node.inbox / "receiving" / series.name)
        node.wait("answered")
    facts = status(node.inbox)
    assert facts["states"] == {
        "waiting": 0, "running": 0, "done": 1, "failed": 0, "quarantined": 0,
    }  # fmt: skip


def test_a_series_is_not_complete_while_its_objects_keep_coming(run_node, kit):
    with run_node(settle_s=1.2) as node, kit.calling(node) as assoc:
        for ds in kit.objects(5):
            assoc.send_c_store(ds)
            time.sleep(0.3)
        time.sleep(1.4)
        assert not node.events("series_complete")  # quiet, but its sender is still connected
        assoc.release()
        (line,) = node.wait("series_complete")
        assert line["objects"] == 5


def test_results_wait_for_a_peer_that_is_down_over_a_restart(run_node, kit, pacs):
    pacs.stop()
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("peer_unreachable", 2)
        assert len(node.files("outgoing")) == 2
    with run_node(peer=pacs.peer) as node:
        node.wait("peer_unreachable")
        pacs.start()
        node.wait("sent")
        assert not list((node.inbox / "outgoing").iterdir())
    assert len(pacs.received) == 2
    with run_node(peer=pacs.peer) as node:
        time.sleep(0.8)
    assert len(pacs.received) == 2


def test_a_refusal_of_the_peer_is_tried_again_and_what_was_taken_is_not(run_node, kit, pacs):
    pacs.answers = [0, 0xA700, 0xC001, 0xB000]  # the first is taken, the second with a remark
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert [e["status"] for e in node.events("document_refused")] == ["0xA700", "0xC001"]
    assert len(pacs.received) == 1


def test_a_job_that_the_peer_never_takes_does_not_hold_up_the_others(run_node, kit, pacs):
    pacs.answers = [0xC000] * 100
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("send_failed")
        pacs.unwanted = {dcmread(file).SOPInstanceUID for file in node.files("outgoing")}
        pacs.answers.clear()
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert len(pacs.received) == 2
        assert len(node.files("outgoing")) == 2


def test_a_crash_while_answering_or_before_the_rename_answers_once(run_node, kit, pacs):
    calls = []

    def answer(folder):
        calls.append(folder.name)
        return kit.result(folder.name)

    with run_node(answer=answer, peer=pacs.peer) as node:
        kit.send(node, kit.objects(2))
        node.wait("sent")
        inbox = node.inbox
    (answered,) = (inbox / "answered").iterdir()
    answered.rename(inbox / "answering" / answered.name)  # as a crash after the outbox leaves it
    (inbox / "temporary" / "half").write_bytes(b"half an object")
    with run_node(answer=answer, peer=pacs.peer) as node:
        node.wait("answered")
        time.sleep(0.5)
        assert len(calls) == 1
        assert not list((inbox / "temporary").iterdir())
    assert len(pacs.received) == 2
    (answered,) = (inbox / "answered").iterdir()
    answered.rename(inbox / "answering" / answered.name)
    shutil.rmtree(inbox / "sent")  # as a crash before the outbox leaves it
    with run_node(answer=answer, peer=pacs.peer) as node:
        node.wait("sent")
    assert len(calls) == 2
    first, second = pacs.received[:2], pacs.received[2:]
    assert [d.SOPInstanceUID for d in first] == [d.SOPInstanceUID for d in second]


def test_a_disk_that_is_full_when_results_are_written_is_waited_for(
    run_node, kit, pacs, monkeypatch
):
    put, failures = outgoing.Outgoing.put, [OSError(28, "No space left"), OSError(28, "again")]

    def full(self, job, staged):
        if failures:
            raise failures.pop()
        put(self, job, staged)

    monkeypatch.setattr(outgoing.Outgoing, "put", full)
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert not failures
        assert [e["why"] for e in node.events("waiting")] == ["disk_full"]  # said once
        assert len(node.events("going_on")) == 1
        assert not list((node.inbox / "quarantine").iterdir())


def test_old_answers_are_deleted_and_a_second_node_is_refused(run_node, kit, pacs):
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        with pytest.raises(InputError, match="another node"), run_node():
            pass
        assert node.node.inbox.forget(1.0) == 0
        assert node.node.inbox.forget(-1.0) == 1
        node.node.outbox.forget(-1.0)
        assert not list((node.inbox / "answered").iterdir())
        assert not list((node.inbox / "sent").iterdir())


def test_the_later_report_of_a_study_names_the_earlier_and_each_its_series(run_node, kit, pacs):
    study = {"StudyInstanceUID": "1.2.3.4"}
    numbered = [
        {"SeriesNumber": 4, "SeriesDescription": "MPRAGE"},
        {"SeriesNumber": 11, "SeriesDescription": "SPACE^x"},
        {"SeriesNumber": None},
        {"SeriesNumber": 4, "PatientID": "another's"},
    ]
    with run_node(peer=pacs.peer) as node:
        for count, extra in enumerate(numbered, 1):
            kit.send(node, kit.objects(1, **study, **extra))
            node.wait("sent", count)
    first, second, third, another = (ds for ds in pacs.received if ds.Modality == "SR")
    assert "PredecessorDocumentsSequence" not in first
    assert _predecessors(second) == [("1.2.3.4", first.SeriesInstanceUID, first.SOPInstanceUID)]
    assert [uid for *_, uid in _predecessors(third)] == [
        first.SOPInstanceUID, second.SOPInstanceUID,
    ]  # fmt: skip
    assert "PredecessorDocumentsSequence" not in another
    said = [ds.SeriesDescription for ds in pacs.received]
    assert said == [
        f"fmtool of {name}: research, not for clinical use"
        for name in ("series 4", "series 11", "a series", "series 4") for _ in range(2)
    ]  # fmt: skip
    assert all(len(text) <= 64 for text in said)
    for ds, name in ((first, "Of series 4, MPRAGE ("), (second, "Of series 11, SPACE^x (")):
        (text,) = (i.TextValue for i in ds.ContentSequence if i.get("TextValue", "")[:3] == "Of ")
        assert text.startswith(name)


def _predecessors(report):
    return [
        (study.StudyInstanceUID, series.SeriesInstanceUID, one.ReferencedSOPInstanceUID)
        for study in report.PredecessorDocumentsSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]


def test_a_series_that_grew_names_its_own_earlier_report_and_the_same_again_none(
    run_node, kit, pacs
):
    one, two = kit.objects(2)
    with run_node(peer=pacs.peer) as node:
        kit.send(node, [one])
        node.wait("sent")
        kit.send(node, [two])
        node.wait("sent", 2)
        inbox = node.inbox
    (answered,) = (inbox / "answered").iterdir()
    answered.rename(inbox / "answering" / answered.name)
    shutil.rmtree(inbox / "sent")  # as a crash before the outbox leaves it
    with run_node(peer=pacs.peer) as node:
        node.wait("sent")
    first, second, again = (ds for ds in pacs.received if ds.Modality == "SR")
    assert [uid for *_, uid in _predecessors(second)] == [first.SOPInstanceUID]
    assert again.SOPInstanceUID == second.SOPInstanceUID
    assert _predecessors(again) == _predecessors(second)


@pytest.mark.parametrize("number", ["4.0", "four", "", "4\\5"])
def test_a_series_number_that_is_none_is_left_out(kit, tmp_path, number):
    (ds,) = kit.objects(1)
    del ds.SeriesNumber
    ds.save_as(tmp_path / "one.dcm", enforce_file_format=True)
    raw = (tmp_path / "one.dcm").read_bytes()
    value = number.encode().ljust(4)
    at = raw.index(b"\x20\x00\x13\x00IS")  # before InstanceNumber: in ascending order
    element = b"\x20\x00\x11\x00IS" + len(value).to_bytes(2, "little") + value
    (tmp_path / "one.dcm").write_bytes(raw[:at] + element + raw[at:])
    headers = source.read(tmp_path)
    made = sr.report(kit.result(), headers, "a")
    assert made.SeriesDescription == "fmtool of a series: research, not for clinical use"
