"""Encoder + heads + preprocessing parts -> a bundle, written only after every gate has passed."""

from __future__ import annotations

import copy
import gzip
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from torch import nn

from export.card import card
from export.graph import BundleGraph, LinearHead
from export.manifest import LOCATE, SEGMENT, TEMPLATE, About, manifest
from export.onnx import export
from export.precision import to_fp16
from export.reference import Reference, Volume, reference
from export.verify import parity
from fmtool import bundle as bundles
from fmtool import space
from fmtool.bundle import Bundle
from fmtool.errors import BundleError, InputError
from training import architecture, encoders

Parts = Mapping[str, Path | bytes]
"""What preprocessing needs, by its name inside the bundle; `LICENSES/...` come along."""

LICENCES = "LICENSES/"
GATES = {"float32": 1e-5, "float16": 5e-3}
"""Largest relative difference of the embedding, exported model against torch, on this machine."""


def _silent(step: str) -> None:
    del step


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
        volumes: prepared volumes and masks (z, y, x) for the parity gates, beside the template.
        progress: told each step as it begins.
        source: where an encoder given as a module comes from, in words.
        limits: sentences about the sample: its ages, its site.

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
            calibration=opened.manifest.get("calibration", {}),
        )
        parts = parts_of(opened)
        return assemble(out, encoder, heads, parts, about, fp16, overwrite, volumes, progress)


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
) -> Bundle:
    """Make a bundle from preprocessing parts given one by one; otherwise as `pack`.

    Args:
        parts: at least `LOCATE`, `SEGMENT` and `TEMPLATE`, and files below `LICENCES`.
        about: what the manifest and the model card say beside what is measured.
    """
    target = bundles.claim(out, overwrite)
    absent = {LOCATE, SEGMENT, TEMPLATE} - parts.keys()
    if absent:
        raise BundleError(f"bundle {target} would lack {', '.join(sorted(absent))}")
    graph, facts = _graph(encoder, heads, about)
    with tempfile.TemporaryDirectory(prefix="fmtool-pack-") as scratch:
        folder = Path(scratch)
        volumes = [self_test_volume(parts[TEMPLATE]), *volumes]
        progress(f"Running torch on {len(volumes)} volume(s)")
        expected = reference(graph, volumes)
        models = _models(graph, folder, fp16, volumes, expected, facts, progress)
        contents = manifest(about, graph, heads, facts, models, expected)
        licences = sorted(name for name in parts if name.startswith(LICENCES))
        files: dict[str, Path | bytes] = {path.name: path for path in models.values()}
        files |= {**parts, "MODEL_CARD.md": card(contents, licences).encode()}
        progress(f"Writing {target}")
        return bundles.write(target, contents, files, overwrite)


def self_test_volume(template: Path | bytes) -> Volume:
    """The template on the crop as float32 (z, y, x), and where it is above zero."""
    raw = template if isinstance(template, bytes) else template.read_bytes()
    image = nib.Nifti1Image.from_bytes(gzip.decompress(raw))
    crop = np.ascontiguousarray(space.to_crop(np.asarray(image.dataobj)), dtype=np.float32)
    return crop, (crop > 0).astype(np.float32)


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


def _models(
    graph: BundleGraph,
    folder: Path,
    fp16: bool,
    volumes: Sequence[Volume],
    expected: Reference,
    facts: Mapping[str, Any],
    progress: Callable[[str], None],
) -> dict[str, Path]:
    """Each precision's ONNX file, exported and through its gate."""
    progress("Exporting to ONNX")
    encoder = f"{facts['architecture']} {facts['width']:g} {facts['sha256']}"
    shape = volumes[0][0].shape
    assert len(shape) == 3
    path = export(graph, folder / "model.onnx", shape=shape, metadata={"encoder": encoder})
    models = {"float32": path}
    if fp16:
        models["float16"] = to_fp16(models["float32"], folder / "model.fp16.onnx")
    for precision, path in models.items():
        progress(f"Comparing the {precision} model with torch")
        parity(path, graph, volumes, GATES[precision], expected=expected)
    return models
