"""A worker process seen from the parent: one JSON line asked, one answered."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from typing import Any

from benchmarks.bench.candidates import Candidate
from fmtool import errors
from fmtool.errors import CapabilityError, FmtoolError

_GRACE = 10.0  # seconds to leave after the last answer


class WorkerFailed(FmtoolError):
    """A process that ended without an answer."""


class Worker:
    """A candidate in a process of its own; use it as a context manager.

    Attributes:
        candidate: what it measures.
        opened: what it said about itself, and what its cold start cost.

    Raises:
        FmtoolError: if it could not open what it was given, as the process said it.
    """

    def __init__(self, candidate: Candidate, volumes: str) -> None:
        self.candidate = candidate
        # Not its standard output: libraries write there.
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading, encoding="utf-8")
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        spec = {**candidate.spec, "volumes": volumes, "answers": writing}
        spec["started"] = time.monotonic()
        self._process = subprocess.Popen(
            [*candidate.command, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            text=True,
            pass_fds=(writing,),
        )
        os.close(writing)
        try:
            self.opened: dict[str, Any] = self._answer()
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **details: Any) -> Any:
        """The answer to one command of `benchmarks.bench.worker`.

        Raises:
            FmtoolError: as the process said it, or if it ended.
        """
        assert self._process.stdin is not None
        try:
            print(json.dumps({"do": do, **details}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has left already
            self._process.stdin.close()  # the end of its commands: it leaves by itself
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._errors.close()

    def _answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer["error"], FmtoolError)
            raise kind(answer["sentence"])
        return answer["ok"]

    def _ended(self) -> FmtoolError:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return CapabilityError(
                f"{self.candidate.name} was killed: too little memory, most often"
            )
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        why = said[-1] if said else "no word of why"
        return WorkerFailed(f"{self.candidate.name} ended with code {code}: {why}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
