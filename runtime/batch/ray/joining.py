"""Joining a Ray cluster that runs, or one sentence that says why not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fmtool.errors import CapabilityError, UsageError

_REACH_S = 5.0


def check_address(address: str) -> None:
    """Refuse what names no running cluster, before anything is begun.

    Raises:
        UsageError: if it is neither HOST:PORT nor "auto".
    """
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and port.isdigit() and "/" not in address):
        raise UsageError(
            f"--ray takes HOST:PORT of a running cluster's head, or auto, not {address!r}; run the "
            "command on a machine of the cluster"
        )


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Ray's module, connected, with no log of the nodes brought here.

    To be used in a process of its own: Ray puts its handlers in the place of this process's, and
    ends the process when the cluster's head is gone.

    Args:
        address: see `check_address`.

    Raises:
        CapabilityError: if Ray is not installed, or the cluster cannot be joined.
    """
    try:
        import ray
    except ImportError as error:
        raise CapabilityError(
            f"Ray cannot be used ({error}); install it with `pip install 'fmtool[ray]'`"
        ) from None
    if address != "auto":
        _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:  # of many kinds; each is a cluster that cannot be joined
        raise CapabilityError(_sentence(address, error)) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _REACH_S):
            pass
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise CapabilityError(
            f"no Ray cluster answers at {address} ({why}); start one with `ray start --head`, or "
            "name its head"
        ) from None


def _sentence(address: str, error: BaseException) -> str:
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    text = " ".join(" ".join(str(one).split()) for one in causes)
    if "ersion mismatch" in text:
        said = text[text.index("ersion mismatch") - 1 :]
        return f"the Ray cluster at {address} has another version of Ray or Python ({said[:300]})"
    if "ould not find any running Ray" in text:
        return "no Ray cluster runs on this machine; start one with `ray start`, or name its head"
    return (
        f"the Ray cluster at {address} cannot be joined from here ({text[:300]}); this machine "
        "must be one of its own: `ray start --address=...` makes it one, with "
        "--num-cpus=0 if it is not to work"
    )
