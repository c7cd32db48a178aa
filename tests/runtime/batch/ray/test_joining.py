"""Joining a cluster, with a Ray that is made up: each way to fail is one sentence."""

from __future__ import annotations

import os
import socket
import sys
from types import SimpleNamespace

import pytest

from fmtool.errors import CapabilityError, UsageError
from runtime.batch.ray.joining import check_address, joined


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def made(error=None):
    calls = []

    def init(**words):
        calls.append(words)
        if error is not None:
            raise error

    return SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown"), calls=calls)


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:", ":6379", "local", "a:b"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UsageError, match="HOST:PORT"):
        check_address(address)


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_an_address_is_one(address):
    check_address(address)


def test_no_statistics_are_sent_and_it_is_left_at_the_end(monkeypatch, listening):
    ray = made()
    monkeypatch.setitem(sys.modules, "ray", ray)
    with joined(listening) as found:
        assert found is ray
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert ray.calls[0]["address"] == listening
    assert ray.calls[0]["log_to_driver"] is False
    assert ray.calls[1] == "shutdown"


def test_without_ray_the_extra_is_named(monkeypatch, listening):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CapabilityError, match=r"fmtool\[ray\]"), joined(listening):
        pass


def test_an_address_where_nothing_listens_is_said_at_once(monkeypatch, listening):
    ray = made()
    monkeypatch.setitem(sys.modules, "ray", ray)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = f"no Ray cluster answers at 127.0.0.1:{port}"
    with pytest.raises(CapabilityError, match=said), joined(f"127.0.0.1:{port}"):
        pass
    assert ray.calls == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Version mismatch: The cluster was started with: Ray: 2.9"), "another ver"),
        (ConnectionError("Could not find any running Ray instance"), "no Ray cluster runs on this"),
        (ConnectionError("Failed to connect"), "must be one of its own"),
        (Exception("This node has an IP address of 10.0.0.9, and"), "10.0.0.9"),
    ],
)
def test_a_cluster_that_cannot_be_joined(monkeypatch, listening, error, said):
    outer = ConnectionError("outer")
    outer.__cause__ = error
    for one in (error, outer):
        monkeypatch.setitem(sys.modules, "ray", made(one))
        with pytest.raises(CapabilityError, match=said), joined(listening):
            pass
