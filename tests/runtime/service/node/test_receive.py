"""C-ECHO and C-STORE: what is taken, what is refused and with which status."""

from __future__ import annotations

import errno
import struct
import zlib
from collections import namedtuple
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import items
from runtime.service import guard
from runtime.service.node import storage

_WAITING = {"settle_s": 60.0}  # what is received stays in `receiving`


def test_echo(run_node, kit):
    with run_node(**_WAITING) as node, kit.calling(node) as assoc:
        assert assoc.send_c_echo().Status == 0x0000


def test_objects_are_stored_as_sent_under_names_that_tell_nothing(run_node, kit):
    sent = list(kit.objects(3))
    with run_node(**_WAITING) as node:
        assert kit.send(node, sent) == [0, 0, 0]
        files = node.files("receiving")
        got = {ds.SOPInstanceUID: ds for ds in map(dcmread, files)}
        assert set(got) == {ds.SOPInstanceUID for ds in sent}
        for ds in sent:
            assert got[ds.SOPInstanceUID].PixelData == ds.PixelData
            assert got[ds.SOPInstanceUID].PatientName == kit.planted
        assert len({file.parent for file in files}) == 1
        names = " ".join(str(p.relative_to(node.inbox)) for p in node.inbox.rglob("*"))
        for secret in ("Planted", "PLANTED", sent[0].SOPInstanceUID, sent[0].SeriesInstanceUID):
            assert secret not in names
            assert secret not in node.log


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless],
)
def test_transfer_syntaxes_are_kept(run_node, kit, syntax):
    (ds,) = kit.objects(1, syntax=syntax)
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        ds.PixelData = encapsulate([b"abcd"])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    with run_node(**_WAITING) as node:
        assert kit.send(node, [ds], contexts=[(MRImageStorage, [syntax])]) == [0]
        (file,) = node.files("receiving")
        got = dcmread(file)
        assert got.file_meta.TransferSyntaxUID == syntax
        assert got.PixelData == ds.PixelData


def test_an_object_sent_twice_is_stored_once(run_node, kit):
    sent = list(kit.objects(2))
    with run_node(**_WAITING) as node:
        assert kit.send(node, [*sent, *sent]) == [0] * 4
        assert kit.send(node, sent) == [0, 0]
        assert len(node.files("receiving")) == 2


def test_two_patients_with_one_series_uid_are_kept_apart(run_node, kit):
    (one,) = kit.objects(1)
    (other,) = kit.objects(1)
    other.StudyInstanceUID, other.SeriesInstanceUID = one.StudyInstanceUID, one.SeriesInstanceUID
    other.PatientID = "ANOTHER"
    with run_node(**_WAITING) as node:
        assert kit.send(node, [one, other]) == [0, 0]
        assert len({file.parent for file in node.files("receiving")}) == 2


def test_only_the_titles_allowed_may_call(run_node, kit):
    with run_node(**_WAITING) as node:
        for how in ({"aet": "PLANTED"}, {"called": "OTHER"}):
            with kit.calling(node, **how) as assoc:
                assert assoc.is_rejected
        assert len(node.wait("association_refused", 2)) == 2
        assert "PLANTED" not in node.log
        with kit.calling(node) as assoc:
            assert assoc.is_established


def test_other_kinds_of_object_are_not_agreed_on(run_node, kit):
    with run_node(**_WAITING) as node:
        context = [(CTImageStorage, [ImplicitVRLittleEndian])]
        with kit.calling(node, contexts=context) as assoc:
            assert not assoc.accepted_contexts


def test_an_object_of_another_class_than_agreed_on_is_refused(run_node, kit):
    (ds,) = kit.objects(1)
    with run_node(**_WAITING) as node, kit.calling(node) as assoc:
        ds.SOPClassUID = CTImageStorage
        agreed = assoc._accepted_cx
        for context in agreed.values():  # a sender that does not care what was agreed on
            if context.abstract_syntax == MRImageStorage:
                context._abstract_syntax = CTImageStorage
        assert assoc.send_c_store(ds).Status == 0x0122
        assert not node.files("receiving")


def test_an_object_that_is_none_is_refused(run_node, kit):
    broken, fine = kit.objects(2)
    del broken.SeriesInstanceUID
    with run_node(**_WAITING) as node:
        assert kit.send(node, [broken, fine]) == [0xC000, 0]
        assert len(node.files("receiving")) == 1


def test_an_object_that_is_not_the_one_announced_is_refused(run_node, kit):
    (ds,) = kit.objects(1)
    with run_node(**_WAITING) as node, kit.calling(node) as assoc:
        send = assoc.dimse.send_msg

        def renamed(message, context):
            message.AffectedSOPInstanceUID = generate_uid(prefix=None)
            send(message, context)

        assoc.dimse.send_msg = renamed
        assert assoc.send_c_store(ds).Status == 0xA900


def test_a_deflated_bomb_is_refused(run_node, kit):
    (ds,) = kit.objects(1, syntax=DeflatedExplicitVRLittleEndian)
    ds.PixelData = bytes(64 << 20)
    contexts = [(MRImageStorage, [DeflatedExplicitVRLittleEndian])]
    with run_node(max_object_bytes=1 << 20, **_WAITING) as node:
        assert kit.send(node, [ds], contexts=contexts) == [0xC000]
        assert not node.files("receiving")
        assert not list((node.inbox / "temporary").iterdir())


def test_a_full_disk_is_answered_with_out_of_resources(run_node, kit, monkeypatch):
    sent = list(kit.objects(3))
    usage = namedtuple("usage", "total used free")
    with run_node(**_WAITING) as node:
        with monkeypatch.context() as patch:
            patch.setattr(guard.shutil, "disk_usage", lambda _: usage(10, 10, 0))
            assert kit.send(node, sent[:1]) == [0xA700]
        with monkeypatch.context() as patch:

            def full(handle):
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(storage.os, "fsync", full)
            assert kit.send(node, sent[1:2]) == [0xA700]
        assert kit.send(node, sent) == [0, 0, 0]
        assert len(node.files("receiving")) == 3
        assert not list((node.inbox / "temporary").iterdir())
        refused = node.events("object_refused")
        assert [line["errno"] for line in refused] == [None, errno.ENOSPC]


def test_an_object_too_large_ends_its_association_and_no_other(run_node, kit):
    (large,) = kit.objects(1)
    large.Rows = large.Columns = 1024
    large.PixelData = bytes(2 << 20)
    with run_node(max_object_bytes=1 << 20, **_WAITING) as node:
        with kit.calling(node) as assoc:
            assert not assoc.send_c_store(large)
            kit.until(lambda: not assoc.is_established)
        (line,) = node.wait("connection_ended")
        assert line["why"] == "an object is too large"
        assert kit.send(node, kit.objects(2)) == [0, 0]
        assert len(node.files("receiving")) == 2


def test_an_association_that_sends_too_much_ends(run_node, kit):
    with run_node(max_association_bytes=20_000, **_WAITING) as node:
        with kit.calling(node) as assoc:
            for ds in kit.objects(200):
                if not assoc.is_established or not assoc.send_c_store(ds):
                    break
            kit.until(lambda: not assoc.is_established)
        assert node.wait("connection_ended")[0]["why"] == "the association sent too much"
        assert 1 < len(node.files("receiving")) < 60


def test_objects_that_overturn_a_parser_are_refused(run_node, kit):
    item, sequence = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF), b"\x09\x00\x01\x10SQ\0\0"
    nested = (sequence + b"\xff" * 4 + item) * 20_000  # deeper than Python recurses
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = squeezed.compress(bytes(1 << 20)) + squeezed.flush()
    unknown = b"\x10\0\x20\0OO\x02\x001 "  # a patient's ID of a value representation that is none
    hostile = [
        (ExplicitVRLittleEndian, nested),
        (ExplicitVRLittleEndian, unknown),
        (DeflatedExplicitVRLittleEndian, zeros),
    ]
    with run_node(**_WAITING) as node:
        for syntax, data in hostile:
            (ds,) = kit.objects(1, syntax=syntax)
            with kit.calling(node, contexts=[(MRImageStorage, [syntax])]) as assoc:
                send = assoc.dimse.send_msg

                def raw(message, context, data=data, send=send):
                    message.DataSet = BytesIO(data)
                    send(message, context)

                assoc.dimse.send_msg = raw
                assert assoc.send_c_store(ds).Status == 0xC000
        assert kit.send(node, kit.objects(1)) == [0]


def test_the_record_and_the_log_say_who_sent_a_series_and_no_patient(run_node, kit):
    with run_node() as node:
        kit.send(node, kit.objects(2))
        (done,) = node.wait("answered")
        assert done["senders"] == ["SCANNER@127.0.0.1"]
        (accepted,) = node.events("association_accepted")
        assert (accepted["peer"], accepted["aet"]) == ("127.0.0.1", "SCANNER")
        with Ledger(node.inbox / FILE) as ledger:
            (item,) = items(ledger)
        assert item.to_dict()["sender"] == "SCANNER@127.0.0.1"
        (ds,) = kit.objects(1)
        ds.SOPInstanceUID = "1.2.3"  # not the one that the request names
        with kit.calling(node, aet="STRANGER"):
            pass
        (refused,) = node.wait("association_refused")
        assert refused["peer"] == "127.0.0.1"
        assert "STRANGER" not in node.log
        assert "PLANTED" not in node.log


def test_another_account_reads_nothing_of_an_inbox_that_was_open(
    run_node, kit, tmp_path, as_account
):
    inbox = tmp_path / "inbox"
    (inbox / "receiving").mkdir(parents=True)
    with Ledger(inbox / FILE):
        (inbox / FILE).chmod(0o644)
    inbox.chmod(0o755)
    with run_node() as node:
        kit.send(node, kit.objects(1))
        node.wait("answered")
        (document, *_) = node.files("outgoing")
        for attempt in (
            lambda: document.read_bytes(),
            lambda: (inbox / FILE).read_bytes(),
            lambda: (inbox / "answered").rename(inbox / "gone"),
        ):
            assert not as_account(54322, attempt)
        assert node.events("folder_closed")
