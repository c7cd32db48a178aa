"""What Prometheus is told: numbers, and nothing that names a scan."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from fmtool import __version__
from runtime.trust.drift import Drift

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """One service's numbers."""

    def __init__(self, bundle: str, engine: str) -> None:
        self._registry = own = CollectorRegistry()
        about = Gauge("fmtool_info", "What runs.", ["version", "bundle", "engine"], registry=own)
        about.labels(__version__, bundle, engine).set(1)
        self._requests = Counter(
            "fmtool_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=own,
        )
        self._received = Counter(
            "fmtool_received_bytes", "Bytes of accepted uploads.", registry=own
        )
        self._scans = Counter("fmtool_scans", "Scans dealt with.", ["outcome"], registry=own)
        self._seconds = Histogram(
            "fmtool_scan_seconds",
            "From reading to the result.",
            buckets=_SECONDS,
            registry=own,
        )
        self._stages = Counter("fmtool_stage_seconds", "Time per stage.", ["stage"], registry=own)
        self._jobs = Gauge("fmtool_jobs", "Jobs by state.", ["state"], registry=own)
        self._free = Gauge("fmtool_free_bytes", "Free space of the spool's disk.", registry=own)
        self._drift = Gauge(
            "fmtool_drift",
            "How far the last answers lie from the site's calibration: above 1 they drifted; NaN "
            "where the bundle is of no site, or the answers are too few.",
            registry=own,
        )
        self._ready = Gauge("fmtool_ready", "Whether /ready says yes.", registry=own)

    def request(self, method: str, route: str, status: int) -> None:
        """A request was answered; `route` is the pattern, not the path."""
        self._requests.labels(method, route, status).inc()

    def received(self, count: int) -> None:
        """An upload was accepted."""
        self._received.inc(count)

    def scan(self, outcome: str, timings: Mapping[str, float] | None = None) -> None:
        """A scan was dealt with."""
        self._scans.labels(outcome).inc()
        for stage, seconds in (timings or {}).items():
            if stage == "total":
                self._seconds.observe(seconds)
            else:
                self._stages.labels(stage).inc(seconds)

    def text(
        self, states: Mapping[str, int], free_bytes: int, ready: bool, drift: Drift | None
    ) -> bytes:
        """The page, with what is so at this moment."""
        self._drift.set(math.nan if drift is None else drift.score)
        for state, count in states.items():
            self._jobs.labels(state).set(count)
        self._free.set(free_bytes)
        self._ready.set(ready)
        return generate_latest(self._registry)
