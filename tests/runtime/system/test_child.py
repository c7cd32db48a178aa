"""Child: whoever closes it, and when, nobody is left waiting."""

from __future__ import annotations

import threading
import time
from functools import partial

from fmtool.errors import FmtoolError
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
