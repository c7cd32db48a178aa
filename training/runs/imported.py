"""`fmtool train import`, top to bottom: somebody's checkpoint in, an encoder out, and a head."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fmtool.errors import UsageError
from fmtool.space import CROP_SHAPE
from fmtool.task import Task
from training import encoders
from training.encoders import upstream
from training.encoders.told import NOTHING, Told
from training.evidence.head import Head
from training.fit import checkpoint


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    told: Told = NOTHING,
    task: Task | None = None,
    head: Path | None = None,
    stage: int | None = None,
    cells: tuple[int, int, int] | None = None,
    histogram: bool = False,
) -> dict[str, Any]:
    """Keep what a checkpoint holds: as upstream's file if `out` ends so, else as a folder.

    Upstream's file gets the optimizer's state of `source`, a run's `checkpoints/step-.../` or
    upstream's own, where upstream's resume accepts it; else a fresh one, which is said.

    Args:
        source: whatever `training.encoders.load_checkpoint` reads.
        out: a new file or folder.
        told: what the weights do not tell.
        task: what upstream's fine-tuning has trained the head for.
        head: the file it is kept in; its evidence is that there is none.
        stage: what is kept is cut after it and gridded; see `training.encoders.gridded`.
        cells: its cells.
        histogram: whether they count local histograms, too.

    Returns:
        what was found, see `training.encoders.load_checkpoint`.

    Raises:
        InputError: if one cannot be read, holds no such head, or the other cannot be written.
        UsageError: for an ordinal task, a task without a file or a file without a task, a stage
            without cells or cells that do not fit its map; and see `upstream.write`.
    """
    if histogram and stage is None:
        raise UsageError("--histogram is of a grid's cells; name it with --stage and --cells")
    if (stage is None) != (cells is None):
        raise UsageError("--stage says where the encoder is cut and --cells its grid; name both")
    if cells is not None and (head is not None or Path(out).suffix in upstream.SUFFIXES):
        raise UsageError("a gridded encoder is kept in a folder of its own, without a head")
    if (task is None) != (head is None):
        raise UsageError("--task says what the head predicts and --head keeps it; name both")
    if task is not None and task.kind == "ordinal":
        raise UsageError(
            f"{task.name} is ordinal, and a checkpoint's head has no thresholds between classes; "
            "import the encoder alone and fit a probe of it"
        )
    count = task.outputs if task is not None else 1
    linear = upstream.linear_head(source, told, count) if head is not None else None
    if Path(out).suffix in upstream.SUFFIXES:
        encoder, projector, info = upstream.load_pretraining(source, told)
        state = _optimizer(Path(source)) or info.get("optimizer")
        if state and not upstream.accepts(upstream.solver(encoder, projector), state):
            state = None
        if state is None:
            info["remarks"] = [
                *info["remarks"],
                "The optimizer starts fresh where upstream resumes: there is none of its kind.",
            ]
        upstream.write(out, encoder, projector, info.get("epoch"), state)
    else:
        encoder, info = encoders.load_checkpoint(source, told)
        named = info.get("source") or f"checkpoint {Path(source).name}"
        if stage is not None and cells is not None:
            encoder = encoders.gridded(encoder, stage, cells, histogram)
            encoders.map_shape(encoder, CROP_SHAPE)
            info |= encoders.describe(encoder).facts() | {"sha256": encoders.digest(encoder)}
        encoders.save_encoder(out, encoder, named, seen=info["exposure"])
    if task is not None and head is not None and linear is not None:
        Head(task, *linear, {}, info["sha256"]).save(head)
        info["unexpected"] = [name for name in info["unexpected"] if ".head." not in f".{name}"]
    return info


def _optimizer(source: Path) -> dict[str, Any] | None:
    """Of one of fmtool's own checkpoints."""
    own = source.name == checkpoint.NETWORK and (source.parent / checkpoint.STATE).is_file()
    return checkpoint.optimizer_state(source.parent) if own else None
