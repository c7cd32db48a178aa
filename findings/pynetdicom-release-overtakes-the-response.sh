#!/usr/bin/env bash
# Tool: pynetdicom 3.0.4, a storage commitment SCU that gets its report on the association it asked in
# Expected: once the handler of the N-EVENT-REPORT has noted the report, and surely once it has
#   returned and EVT_DIMSE_SENT tells of its response, the association may be released from another
#   thread: release() pauses the reactor first, which serves the report, so it waits for the response.
# Seen: it waits for neither. The release goes out first and the response never: the thread that sends
#   ends with InvalidEventError, the peer waits for its response until its time is up (30 s unless
#   told otherwise), and both sides abort. EVT_DIMSE_SENT comes before there is anything to send.
#   Without the holds below it is a race, lost now and then. Wait for the EVT_PDU_SENT of the
#   response's P-DATA-TF, which comes once it is on the wire, and release then.
# Source: run; the documentation has EVT_DIMSE_SENT as "encoded and sent a message"; the same
#   exception is in https://github.com/pydicom/pynetdicom/issues/820, closed for what the peer sends.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    pynetdicom==3.0.4 pydicom==3.0.2; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import threading

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.pdu import A_RELEASE_RQ, P_DATA_TF
from pynetdicom.sop_class import StorageCommitmentPushModel as MODEL
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as INSTANCE

raised = []
threading.excepthook = lambda what: raised.append(what.exc_type.__name__)


def commit(release_after):
    """What the peer receives after its report, and the status it is answered with."""
    received, answered, may_release = [], [], threading.Event()
    in_handler, overtaken = threading.Event(), threading.Event()

    def hold(point):
        """At the point to release after, a release that does not wait gets the time to overtake."""
        if release_after == point:
            may_release.set()
            overtaken.wait(3)

    def reported(event):
        in_handler.set()
        hold("the report is noted")
        return 0x0000, None

    def message_sent(event):
        if isinstance(event.message, N_EVENT_REPORT_RSP):
            hold("EVT_DIMSE_SENT")

    def pdu_sent(event):
        if in_handler.is_set() and isinstance(event.pdu, P_DATA_TF):
            may_release.set()

    def pdu_received(event):
        received.append(type(event.pdu).__name__)
        if isinstance(event.pdu, A_RELEASE_RQ):
            overtaken.set()

    peer, scu = AE("PEER"), AE("SCU")
    peer.add_supported_context(MODEL)
    scu.add_requested_context(MODEL)
    peer.dimse_timeout, scu.acse_timeout = 6, 12
    handlers = [(evt.EVT_N_ACTION, lambda event: (0x0000, None)), (evt.EVT_PDU_RECV, pdu_received)]
    server = peer.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    handlers = [
        (evt.EVT_N_EVENT_REPORT, reported),
        (evt.EVT_DIMSE_SENT, message_sent),
        (evt.EVT_PDU_SENT, pdu_sent),
    ]
    port = server.socket.getsockname()[1]
    association = scu.associate("127.0.0.1", port, evt_handlers=handlers)
    item, request = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, generate_uid()
    request.TransactionUID, request.ReferencedSOPSequence = generate_uid(), [item]
    assert association.send_n_action(request, 1, MODEL, INSTANCE)[0].Status == 0x0000
    theirs = server.active_associations[0]
    received.clear()

    def report():
        status, _ = theirs.send_n_event_report(request, 1, MODEL, INSTANCE)
        answered.append(status.get("Status"))

    reporting = threading.Thread(target=report)
    reporting.start()
    assert may_release.wait(20)
    association.release()
    reporting.join()
    theirs.join(20)
    server.shutdown()
    return received, answered, "released" if association.is_released else "aborted"


overtaken = (["A_RELEASE_RQ"], [None], "aborted")
expected = {
    "the report is noted": overtaken,
    "EVT_DIMSE_SENT": overtaken,
    "EVT_PDU_SENT": (["P_DATA_TF", "A_RELEASE_RQ"], [0x0000], "released"),
}
told = {point: commit(point) for point in expected}
for point, seen in told.items():
    print(f"released after {point}: the peer receives", *seen)
print(raised)
raise SystemExit(told != expected or raised != ["InvalidEventError"] * 2)
PROGRAM
