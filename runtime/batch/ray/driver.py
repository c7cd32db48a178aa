"""The process that has Ray: it joins the cluster, and passes scans on and replies back.

Apart from the command, so that the command alone hears signals, keeps its ledger whatever becomes
of the cluster, and goes on when Ray ends this process (which it does once the head is gone).
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

from fmtool import bundle as bundles
from fmtool.errors import CapabilityError, FmtoolError
from runtime.batch.ray.grid import Grid, Lost
from runtime.batch.ray.joining import joined
from runtime.batch.ray.layout import Slot
from runtime.batch.ray.messages import Asked, Opened, Room, Said
from runtime.batch.ray.pool import START_S, ClusterPool
from runtime.batch.wire import Broken
from runtime.batch.worker import Job
from runtime.engines.choose import Choice, Wish
from runtime.system.orphan import end_with_parent

_TICK_S = 0.1


def drive(pipe: Connection, address: str, asked: Asked) -> None:
    """Serve the command: `Opened` or `Broken` first, then remarks, room and replies.

    Args:
        pipe: to the command, which sends `Job`s and, at the end, None.
        address: of the cluster.
        asked: what the user wants computed with.
    """
    end_with_parent()
    _be_silent()

    def say(sentence: str) -> None:
        pipe.send(Said(sentence))

    try:
        with joined(address) as ray:
            from runtime.batch.ray.rays import Rays
            from runtime.batch.ray.ship import pack

            grid = Rays(ray, pack(bundles.open(asked.setup.bundle)))
            opened = settle(grid, asked, say)
            pipe.send(opened)
            _serve(pipe, ClusterPool(grid, _exactly(asked, opened.choice), say))
    except FmtoolError as error:
        pipe.send(Broken(str(error)))
    except Exception as error:  # Ray's are of many kinds, and a head that is gone is any of them
        said = " ".join(str(error).split())[:200]
        pipe.send(
            Broken(
                f"the Ray cluster at {address} cannot be used any more ({type(error).__name__}: "
                f"{said}); run the command again: what is done is kept"
            )
        )


def _exactly(asked: Asked, choice: Choice) -> Asked:
    device = "cpu" if choice.device == "cpu" else "cuda"
    wish = Wish(engine=choice.engine, device=device, precision=choice.precision)
    return replace(asked, wish=wish, auto=choice.auto)


def settle(grid: Grid, asked: Asked, say: Callable[[str], None]) -> Opened:
    """What the nodes compute with: what the first one makes of the user's words, GPUs first.

    All nodes are then asked for exactly that, for it is part of what an answer is known by.

    Raises:
        CapabilityError: if no node can.
    """
    nodes = sorted(grid.nodes(), key=lambda node: (-node.gpus, node.name))
    why = ["none has a core to give"]
    for node in nodes:
        if not node.cpus:
            continue
        gpu = float(bool(node.gpus) and asked.wish.device != "cpu")
        actor = grid.start(Slot(node, 0, 1, gpu), asked)
        promise = grid.open(actor)
        try:
            found = grid.take(promise) if grid.kept([promise], START_S) else None
        except Lost as error:
            found = Broken(f"node {node.name} cannot be used: an actor there {error}")
        finally:
            grid.kill(actor)
        if isinstance(found, Opened):
            return found
        why = [found.sentence if found else f"node {node.name} has no room for an actor"]
        say(why[0])
    raise CapabilityError(f"no node of the cluster can be used: {why[0]}")


def _serve(pipe: Connection, pool: ClusterPool) -> None:
    jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, jobs), daemon=True).start()
    most = 0
    while True:
        while not jobs.empty():
            job = jobs.get()
            if job is None:
                pool.close()
                return
            pool.submit(job)
        for reply in pool.step(_TICK_S):
            pipe.send(reply)
        if pool.most != most:
            most = pool.most
            pipe.send(Room(most))


def _listen(pipe: Connection, jobs: queue.SimpleQueue[Job | None]) -> None:
    """Take in what the command says, in a thread: two that only send would wait for each other."""
    while True:
        try:
            job: Job | None = pipe.recv()
        except (EOFError, OSError):
            job = None
        jobs.put(job)
        if job is None:
            return


def _be_silent() -> None:
    """Ray's own words go nowhere: it keeps logs of its own, and the command says what counts."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
