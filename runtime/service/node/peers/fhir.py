"""FHIR reports: one transaction for each to a server, or a file in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from fmtool.errors import InputError
from runtime.service.node.peers import NotTaken, Unreached, unreadable
from runtime.service.node.peers.stow import refuse_others
from runtime.service.web import Unanswered, WebClient
from runtime.system.atomic import write_bytes

_JSON = "application/fhir+json"
_NEVER = (406, 410, 412, 413, 415, 422)


class FhirRoute:
    """Transactions of a server.

    Args:
        client: of the server; its address is the FHIR base.
    """

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def send(self, file: Path) -> None:
        """Send a report; see `Route`."""
        try:
            body = json.dumps(transaction(json.loads(file.read_bytes()))).encode()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unreadable(error) from None
        try:
            headers = {"Content-Type": _JSON, "Accept": _JSON}
            status = self._client.post("", headers, [body], len(body)).status
        except Unanswered as error:
            raise Unreached(str(error)) from None
        refuse_others(status)
        if status not in (200, 201):
            why = f"the FHIR server answered {status}"
            raise NotTaken(why, status in _NEVER or None, http_status=status)


class FolderRoute:
    """Files in a folder, each of its report's own identifier.

    Args:
        folder: where they go; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, file: Path) -> None:
        """Copy a report; see `Route`."""
        try:
            data = file.read_bytes()
            name = json.loads(data)["entry"][0]["resource"]["id"]
            write_bytes(self._folder / f"{UUID(name)}.fhir.json", data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unreadable(error) from None
        except InputError:
            raise Unreached("the folder of FHIR reports cannot be written") from None


def transaction(bundle: dict[str, Any]) -> dict[str, Any]:
    """A report's Bundle as a transaction that, sent twice, makes each resource once.

    Each is created on the condition that there is none of its identifier; the references between
    them become the server's own (R4, 3.1.0.11.2).
    """
    entries = []
    for entry in bundle["entry"]:
        resource, identifier = dict(entry["resource"]), entry["fullUrl"]
        del resource["id"]  # the server's to give
        own = {"system": "urn:ietf:rfc:3986", "value": identifier}
        resource["identifier"] = [own, *resource.get("identifier", ())]
        request = {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier=urn:ietf:rfc:3986|{identifier}",
        }
        entries.append({"fullUrl": identifier, "resource": resource, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
