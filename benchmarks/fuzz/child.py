"""The process that runs an entry's trials, until its time is up or a trial ends it.

Inputs are atheris' (guided by what code each input reaches) where it is installed, and our own
damage to the seeds where it is not; with atheris, half of the changes are our own too.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.fuzz.entry import Entry, attempt, limit_memory, load, watchdog
from benchmarks.fuzz.mutate import mutate
from benchmarks.fuzz.run import Book, keep

_START = time.monotonic()
_LARGEST = 1 << 20
_INSTRUMENTED = ["fmtool", "runtime", "training", "pydicom", "nibabel", "python_multipart"]


def main() -> None:
    """Run trials; see `benchmarks.fuzz.run`, which starts this."""
    args = SimpleNamespace(**json.loads(sys.argv[1]))
    work = Path(args.work)
    logging.disable(logging.CRITICAL)
    guided = find_spec("atheris") is not None
    entry = _guided_load(args.entry) if guided else load(args.entry)
    seeds = entry.seeds()
    trial = _trial(entry, Book(work), work)
    for seed in seeds:
        trial(seed)  # whatever a first use loads must not count as a trial's memory
    limit_memory(args.memory)
    if guided:
        _atheris(entry, seeds, trial, args)
    _own(entry, seeds, trial, args)


def _guided_load(name: str) -> Entry:
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        return load(name)


def _trial(entry: Entry, book: Book, work: Path) -> Callable[[bytes], None]:
    log = (work / "traces.txt").open("w", encoding="utf-8")

    def trial(data: bytes) -> None:
        book.begin(data)
        with watchdog(log):
            finding = attempt(entry, data, work / "trial")
        if finding is not None:
            keep(work / "findings", data, finding)

    return trial


def _own(entry: Entry, seeds: Sequence[bytes], trial: Callable[[bytes], None], args: Any) -> None:
    rng, end = random.Random(args.seed), _START + args.seconds
    while time.monotonic() < end:
        trial(mutate(rng, rng.choice(seeds), entry, seeds)[:_LARGEST])


def _atheris(
    entry: Entry, seeds: Sequence[bytes], trial: Callable[[bytes], None], args: Any
) -> None:
    """Does not return: libFuzzer ends the process when the time is up."""
    import atheris

    corpus = Path(args.corpus)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(rng, data, entry, seeds)[:most]

    flags = [
        f"-max_total_time={max(1, int(_START + args.seconds - time.monotonic()))}",
        f"-max_len={_LARGEST}",
        f"-seed={args.seed}",
        f"-artifact_prefix={args.work}/",
        *("-rss_limit_mb=0", "-malloc_limit_mb=0", "-timeout=3600", "-detect_leaks=0"),
        *("-len_control=0", "-verbosity=0", "-print_final_stats=0", "-close_fd_mask=3"),
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], trial, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
