"""Encoder + heads + preprocessing parts -> a bundle, written only after every gate has passed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.graph import LinearHead
from export.matched import EncoderSource, matched
from export.models import BATCHES, Exported, Wanted, export_models
from export.parts.card import CARD, LICENCES, WEIGHTS_LICENCE, card
from export.parts.manifest import LOCATE, SEGMENT, TEMPLATE, BundleNotes, manifest, trust_bytes
from export.reference import Volume, reference, template_volume, variant
from fmtool import bundle as bundles
from fmtool import files
from fmtool.bundle import Bundle
from fmtool.bundle import write as bundle_write
from fmtool.bundle.exposure import FILE as EXPOSURE
from fmtool.errors import BundleError, UsageError

Parts = Mapping[str, Path | bytes]
"""What preprocessing needs, by its name inside the bundle; `LICENSES/...` come along."""


def _silent(what: object) -> None:
    del what


def pack(
    out: str | os.PathLike[str],
    encoder: EncoderSource | Sequence[EncoderSource],
    heads: Sequence[LinearHead],
    source_bundle: Bundle | str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    source: str = "",
    limits: Sequence[str] = (),
    ranges: Mapping[str, Any] | None = None,
    fp16: bool = False,
    int8: Sequence[Volume] = (),
    volumes: Sequence[Volume] = (),
    batches: Sequence[int] = BATCHES,
    overwrite: bool = False,
    progress: Callable[[str], None] = _silent,
    exported: Callable[[Exported], None] = _silent,
) -> Bundle:
    """Make a bundle whose preprocessing is another bundle's.

    Args:
        out: the folder to write, `NAME.fmtool`.
        encoder: a module by `training.encoders.build`, or a checkpoint's path; or several, each of
            which comes with heads of its own.
        heads: linear heads fitted on this encoder, or each on one of several, which its digest
            tells; none gives a bundle of embeddings.
        source_bundle: whose skull-stripping networks, template, calibration and licences to take;
            the demonstration bundle when absent.
        name: the bundle's name; that of `out` when absent.
        source: where an encoder given as a module comes from, in words.
        limits: sentences about the sample: its ages, its site.
        ranges: of the checks, as `training.evidence.ranges` measures them on a cohort; those of
            the source bundle where there are none.
        fp16, int8, volumes, batches: see `export.models.Wanted`.
        overwrite: replace a bundle that is already there.
        progress: told each step as it begins.
        exported: told each model of the bundle, once it is written.

    Raises:
        BundleError: if `out` exists, or the source bundle is damaged.
        InputError: if the checkpoint cannot be read, or a head belongs to another encoder.
        ParityError: if an exported model does not reproduce torch; nothing is written.
    """
    wanted = Wanted(fp16=fp16, int8=int8, volumes=volumes, batches=batches)
    with ExitStack() as stack:
        opened = (
            source_bundle
            if isinstance(source_bundle, Bundle)
            else stack.enter_context(bundles.open(source_bundle))
        )
        ranges = ranges or opened.manifest.calibration
        return assemble(
            out,
            encoder,
            heads,
            parts_of(opened),
            BundleNotes(name or Path(out).stem, source, limits, ranges),
            wanted,
            overwrite=overwrite,
            progress=progress,
            exported=exported,
        )


def parts_of(bundle: Bundle) -> Parts:
    """A bundle's preprocessing: skull-stripping networks, template and their licences."""
    files = bundle.manifest.files
    licences = [n for n in files if n.startswith(LICENCES) and n != WEIGHTS_LICENCE]
    return {
        LOCATE: bundle.file(bundle.manifest.strip.locate),
        SEGMENT: bundle.file(bundle.manifest.strip.segment),
        TEMPLATE: bundle.template,
        **{name: bundle.file(name) for name in licences},
    }


def assemble(
    out: str | os.PathLike[str],
    encoder: EncoderSource | Sequence[EncoderSource],
    heads: Sequence[LinearHead],
    parts: Parts,
    notes: BundleNotes,
    wanted: Wanted = Wanted(),
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = _silent,
    exported: Callable[[Exported], None] = _silent,
) -> Bundle:
    """Make a bundle from preprocessing parts given one by one; otherwise as `pack`.

    Args:
        parts: at least `LOCATE`, `SEGMENT` and `TEMPLATE`, and files below `LICENCES`.
        notes: what the manifest and the model card say beside what is measured.
        wanted: which models, and what they are compared on.

    Raises:
        BundleError: if a part is absent; else as `pack`.
    """
    target = bundle_write.claim(out, overwrite)
    absent = {LOCATE, SEGMENT, TEMPLATE} - parts.keys()
    if absent:
        raise BundleError(f"bundle {target} would lack {', '.join(sorted(absent))}")
    known = matched(encoder, heads, notes, progress)
    graph, facts = known.graph, known.encoders
    if wanted.int8 and len(facts) > 1:
        raise UsageError(
            f"--int8 is for a bundle of one encoder, and this one has {len(facts)}; leave it out, "
            "or export each encoder by itself"
        )
    with (
        files.writing(target),
        tempfile.TemporaryDirectory(prefix="fmtool-pack-") as scratch,
    ):
        folder = Path(scratch)
        template = template_volume(parts[TEMPLATE])
        wanted = replace(wanted, volumes=[template, *(wanted.volumes or [variant(template)])])
        progress(f"Running torch on {len(wanted.volumes)} volumes")
        expected = reference(graph, wanted.volumes)
        models = export_models(graph, heads, folder, wanted, expected, facts, progress)
        contents = manifest(notes, graph, heads, facts, models, expected[0])
        licences = sorted(name for name in parts if name.startswith(LICENCES))
        inside: dict[str, Path | bytes] = {model.path.name: model.path for model in models}
        inside |= {**parts, CARD: card(contents, licences, seen=known.exposure).encode()}
        inside[EXPOSURE] = bytes(known.exposure)
        if contents.trust:
            inside[contents.trust] = trust_bytes(heads)
        progress(f"Writing {target}")
        bundle = bundle_write.write(target, contents, inside, overwrite)
    for model in models:
        exported(model)
    return bundle
