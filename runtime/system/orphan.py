"""No process is left behind when the one that started it has died."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process with its parent, however that ends.

    A worker would wait for its next scan for ever otherwise. For processes that `multiprocessing`
    started.
    """
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
