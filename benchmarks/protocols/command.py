"""The options that all protocols share, and what they are turned into."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.protocols import study as studies
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.size import SIZES, Size
from benchmarks.protocols.study import Study
from fmtool import task as tasks
from fmtool.errors import FmtoolError
from training import cohort as cohorts
from training import encoders
from training.fit.loop import TrainingStopped
from training.store.prepare import prepare


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The shared options; a protocol adds its own."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("cohort", type=Path, help="labelled: a CSV or a BIDS folder")
    made.add_argument("--task", action="append", help="age, sex, ... or a .toml; repeatable")
    made.add_argument("--out", type=Path, required=True, help="folder for JSON, CSV and plot")
    made.add_argument("--cache", type=Path, default=Path(".cache/protocols"))
    made.add_argument("--size", choices=tuple(SIZES), default="toy")
    made.add_argument("--folds", type=int, default=5)
    made.add_argument("--seed", type=int, default=42)
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), help="the size's if absent")
    made.add_argument("--pretrain-epochs", type=int, help="the size's if absent")
    made.add_argument("--train-epochs", type=int, help="the size's if absent")
    made.add_argument("--pretrain", type=Path, help="another cohort to pretrain on")
    made.add_argument(
        "--inductive",
        action="store_true",
        help="pretrain per fold, without the test scans' images",
    )
    made.add_argument("--simclr", type=Path, help="an encoder to use in place of pretraining")
    made.add_argument("--mae", type=Path, help="the same for the masked autoencoder")
    made.add_argument("--allow-sites", action="store_true")
    made.add_argument(
        "--each-scan-is-a-person",
        action="store_true",
        help="accept scans of which nothing says whom they show",
    )
    made.add_argument("--jobs", type=int, default=1, help="processes that prepare scans")
    return made


def size(args: argparse.Namespace) -> Size:
    """The size that is asked for."""
    wanted = SIZES[args.size]()
    for name in ("device", "pretrain_epochs", "train_epochs"):
        if getattr(args, name) is not None:
            wanted = replace(wanted, **{name: getattr(args, name)})
    return wanted


def bench(args: argparse.Namespace) -> Bench:
    """Where systems are trained; the cohort to pretrain on is prepared, encoders are read."""
    pool = None
    if args.pretrain is not None:
        pool = prepare(cohorts.read(args.pretrain, None), args.cache / "volumes", jobs=args.jobs)
    given = {
        name: encoders.load_checkpoint(path)[0]
        for name, path in (("simclr", args.simclr), ("mae", args.mae))
        if path is not None
    }
    return Bench(size(args), args.cache, pool, not args.inductive, given)


def study(args: argparse.Namespace, task: str, table: Path | None = None) -> Study:
    """The cohort, or another table, with a task's labels."""
    found = studies.read(
        table or args.cohort,
        tasks.get(task),
        args.cache,
        args.allow_sites,
        args.jobs,
        args.each_scan_is_a_person,
    )
    for sentence in found.remarks:
        tell(sentence)
    return found


def facts(used: Bench, found: Study, seed: int, **more: Any) -> dict[str, Any]:
    """What a report says of a run."""
    return {
        "cohort": found.name,
        "synthetic": found.synthetic,
        "scans": len(found.rows),
        "subjects": len(set(found.subjects)),
        "sites": list(found.sites),
        "seed": seed,
        "size": asdict(used.size),
        "pretraining": used.pretraining_sentence(),
        **more,
    }


def tell(sentence: str) -> None:
    """What a long run is at, on stderr, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


def run(main: Callable[[], None]) -> None:
    """Run a script's main; a user's mistake or SIGTERM ends it with a sentence."""
    try:
        main()
    except TrainingStopped as stopped:
        print("stopped; give the same command again to go on", file=sys.stderr)
        sys.exit(stopped.exit_code)
    except FmtoolError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
