"""Encoder + heads + preprocessing parts -> a bundle, written only after every gate has passed."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from export.graph import BundleGraph, LinearHead
from export.models import Exported, export_models
from export.parts.card import card
from export.parts.manifest import LOCATE, SEGMENT, TEMPLATE, About, manifest, trust_bytes
from export.reference import Volume, reference, template_volume, variant
from fmtool import bundle as bundles
from fmtool import files, space
from fmtool.bundle import Bundle
from fmtool.bundle import write as bundle_write
from fmtool.errors import BundleError, InputError
from training import encoders
from training.encoders import architecture

Parts = Mapping[str, Path | bytes]
"""What preprocessing needs, by its name inside the bundle; `LICENSES/...` come along."""

LICENCES = "LICENSES/"
BATCHES = (1, 2)
"""What the gates run where no batch is declared: two rows show whether they are kept apart."""


def _silent(what: object) -> None:
    del what


def pack(
    out: str | os.PathLike[str],
    encoder: nn.Module | str | os.PathLike[str],
    heads: Sequence[LinearHead],
    source_bundle: Bundle | str | os.PathLike[str] | None = None,
    fp16: bool = False,
    name: str | None = None,
    overwrite: bool = False,
    volumes: Sequence[Volume] = (),
    progress: Callable[[str], None] = _silent,
    source: str = "",
    limits: Sequence[str] = (),
    batches: Sequence[int] = BATCHES,
    exported: Callable[[Exported], None] = _silent,
    int8: Sequence[Volume] = (),
    ranges: Mapping[str, Any] | None = None,
) -> Bundle:
    """Make a bundle whose preprocessing is another bundle's.

    Args:
        out: the folder to write, `NAME.fmtool`.
        encoder: a module by `training.encoders.build`, or a checkpoint's path.
        heads: linear heads fitted on this encoder; none gives a bundle of embeddings.
        source_bundle: whose skull-stripping networks, template, calibration and licences to take;
            the demonstration bundle when absent.
        fp16: also write an FP16 model, for a GPU.
        name: the bundle's name; that of `out` when absent.
        overwrite: replace a bundle that is already there.
        volumes: real, prepared volumes and masks (z, y, x) for the parity gates, beside the
            template; where there are none, a variant of the template takes their place.
        progress: told each step as it begins.
        source: where an encoder given as a module comes from, in words.
        limits: sentences about the sample: its ages, its site.
        batches: the batch sizes at which the gates run.
        exported: told each model of the bundle, once it is written.
        int8: real, prepared volumes to calibrate an INT8 model on, none of `volumes`; without any,
            none is made.
        ranges: of the checks, as `training.evidence.ranges` measures them on a cohort; those of
            the source bundle where there are none.

    Raises:
        BundleError: if `out` exists, or the source bundle is damaged.
        InputError: if the checkpoint cannot be read, or a head belongs to another encoder.
        ParityError: if an exported model does not reproduce torch; nothing is written.
    """
    with ExitStack() as stack:
        opened = (
            source_bundle
            if isinstance(source_bundle, Bundle)
            else stack.enter_context(bundles.open(source_bundle))
        )
        about = About(
            name=name or Path(out).stem,
            source=source,
            limits=limits,
            calibration=ranges or opened.manifest.get("calibration", {}),
        )
        parts = parts_of(opened)
        return assemble(
            out,
            encoder,
            heads,
            parts,
            about,
            fp16,
            overwrite,
            volumes,
            progress,
            batches,
            exported,
            int8,
        )


def parts_of(bundle: Bundle) -> Parts:
    """A bundle's preprocessing: skull-stripping networks, template and licences."""
    licences = [name for name in bundle.manifest["files"] if name.startswith(LICENCES)]
    return {
        LOCATE: bundle.file(bundle.manifest["strip"]["locate"]),
        SEGMENT: bundle.file(bundle.manifest["strip"]["segment"]),
        TEMPLATE: bundle.file(bundle.manifest["template"]),
        **{name: bundle.file(name) for name in licences},
    }


def assemble(
    out: str | os.PathLike[str],
    encoder: nn.Module | str | os.PathLike[str],
    heads: Sequence[LinearHead],
    parts: Parts,
    about: About,
    fp16: bool = False,
    overwrite: bool = False,
    volumes: Sequence[Volume] = (),
    progress: Callable[[str], None] = _silent,
    batches: Sequence[int] = BATCHES,
    exported: Callable[[Exported], None] = _silent,
    int8: Sequence[Volume] = (),
) -> Bundle:
    """Make a bundle from preprocessing parts given one by one; otherwise as `pack`.

    Args:
        parts: at least `LOCATE`, `SEGMENT` and `TEMPLATE`, and files below `LICENCES`.
        about: what the manifest and the model card say beside what is measured.

    Raises:
        BundleError: if a part is absent; else as `pack`.
    """
    target = bundle_write.claim(out, overwrite)
    absent = {LOCATE, SEGMENT, TEMPLATE} - parts.keys()
    if absent:
        raise BundleError(f"bundle {target} would lack {', '.join(sorted(absent))}")
    graph, facts = _graph(encoder, heads, about)
    with (
        files.writing(target),
        tempfile.TemporaryDirectory(prefix="fmtool-pack-") as scratch,
    ):
        folder = Path(scratch)
        template = template_volume(parts[TEMPLATE])
        volumes = [template, *(volumes or [variant(template)])]
        progress(f"Running torch on {len(volumes)} volumes")
        expected = reference(graph, volumes)
        models = export_models(
            graph, heads, folder, fp16, int8, volumes, expected, facts, batches, progress
        )
        contents = manifest(about, graph, heads, facts, models, expected[0])
        licences = sorted(name for name in parts if name.startswith(LICENCES))
        inside: dict[str, Path | bytes] = {model.path.name: model.path for model in models}
        inside |= {**parts, "MODEL_CARD.md": card(contents, licences).encode()}
        if "trust" in contents:
            inside[contents["trust"]] = trust_bytes(heads)
        progress(f"Writing {target}")
        bundle = bundle_write.write(target, contents, inside, overwrite)
    for model in models:
        exported(model)
    return bundle


def _graph(
    encoder: nn.Module | str | os.PathLike[str], heads: Sequence[LinearHead], about: About
) -> tuple[BundleGraph, dict[str, Any]]:
    """The graph, on the CPU in float32, and the manifest's facts about its encoder."""
    source = about.source
    if isinstance(encoder, nn.Module):
        network = copy.deepcopy(encoder).cpu().float()  # the caller's stays in its mode and place
    else:
        network, info = encoders.load_checkpoint(encoder)
        source = source or info.get("source") or f"checkpoint {Path(encoder).name}"
    digest = encoders.digest(network)
    for head in heads:
        if head.encoder_sha256 not in ("", digest):
            raise InputError(
                f"the head of {head.task.name} was fitted on the encoder "
                f"{head.encoder_sha256[:12]}, not on this one ({digest[:12]}); fit it again"
            )
        shape = tuple(head.evidence.get("input_shape", space.CROP_SHAPE))
        if shape != space.CROP_SHAPE:
            raise InputError(
                f"the head of {head.task.name} was trained on scans resized to "
                f"{'x'.join(map(str, shape))}, which a bundle does not do; train it at full size"
            )
    graph = BundleGraph(network, heads)
    return graph, {
        **architecture.describe(network).facts(),
        "source": source,
        "sha256": digest,
        "parameters": sum(p.numel() for p in network.parameters()),
    }
