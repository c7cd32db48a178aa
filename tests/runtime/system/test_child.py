"""Child: whoever closes it, and when, nobody is left waiting."""

from __future__ import annotations

import threading
import time
from functools import partial

from fmtool.errors import FmtoolError
from runtime.system import clock
from runtime.system.child import Child


def test_a_process_that_starts_may_be_closed_from_another_thread():
    child, found = Child(partial(time.sleep, 600.0), start=False), []

    def ensure():
        try:
            child.ensure()
        except FmtoolError as error:
            found.append(str(error))

    waiting = threading.Thread(target=ensure)
    waiting.start()
    while child.pid is None:
        time.sleep(0.01)
    child.close()
    waiting.join(60.0)
    assert len(found) == 1
    assert "did not start" in found[0]
    assert not child.alive


class Staged:
    """Comes to two stages in a request, and says which it was when the second began."""

    about = "staged"

    def __call__(self, request):
        timings = {}
        with clock.timed(timings, "first"):
            time.sleep(request)
        with clock.timed(timings, "second"):
            time.sleep(request)
        return list(timings)

    def close(self):
        pass


def test_what_a_request_has_come_to_is_known_before_its_reply():
    child, seen = Child(Staged), []
    try:
        assert child.ask(0.3, 60.0, lambda: seen.append(child.stage)) == ["first", "second"]
        assert [stage for stage in dict.fromkeys(seen) if stage] == ["first", "second"]
        child.ask(0.0, 60.0)
    finally:
        child.close()
