"""Make the demonstration bundle from a labelled cohort, top to bottom.

A narrow ResNet-18 is pretrained with SimCLR on the cohort's own scans and compared with the same
network left at its random weights; whichever gives the better cross-validated probes is shipped,
and the model card says which. No scan leaves the machine: the template and the self-test volume
come from nilearn's MNI152 files.

    python -m benchmarks.demo_bundle COHORT [--epochs 100] [--encoder DEMO.fmtool] [--cache DIR]
        [--out DEMO.fmtool]

With `--encoder` the pretrained network is that of an earlier bundle: after the preprocessing has
changed, heads and evidence are fitted anew, and nothing is trained.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.bench import torch_system
from benchmarks.shared import script
from export.models import Wanted
from export.pack import Parts, assemble
from export.parts import strip, template
from export.parts.manifest import BundleNotes
from fmtool import bundle as bundles
from fmtool.bundle import DEMO, Bundle
from fmtool.bundle.exposure import Exposure
from fmtool.errors import InputError
from fmtool.files import sha256
from fmtool.task import AGE, SEX
from runtime.store.entry import StoredScan
from training import cohort as cohorts
from training import encoders, probe
from training.augment import SimCLRAugment
from training.cohort import Cohort
from training.cohort.exposure import exposure, overlap
from training.evidence.ranges import ranges
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings
from training.probe import FittedProbe
from training.simclr import SimCLR
from training.store.embed import embeddings
from training.store.prepare import prepare
from training.store.smoothed import gram

WIDTH = 0.125
VIEW = (40, 48, 48)  # a quarter of the crop's size
MIN_CROP = (120, 154, 154)  # with smaller crops the loss of so few scans stays at chance
BATCH = 14
RATE = 1e-3
SEED = 42


def preprocessing_parts(folder: Path) -> Parts:
    """The skull-stripping networks, the template and their licences."""
    networks = strip.export_strip(folder)
    return {
        **networks,
        "template.nii.gz": template.template_bytes(),
        "LICENSES/mni152.txt": template.licence().encode(),
    }


def random_encoder() -> nn.Module:
    """The network before any training."""
    torch.manual_seed(SEED)
    return encoders.build(width=WIDTH).eval()


def pretrained_encoder(
    cohort: Cohort, entries: list[StoredScan], epochs: int, cache: Path
) -> nn.Module:
    """The network after SimCLR on the cohort's scans, from the cache if it has seen these scans."""
    scans = "".join(sha256(row.image) for row in cohort.rows)
    key = hashlib.sha256(
        f"{scans} {WIDTH} {VIEW} {MIN_CROP} {BATCH} {RATE} {SEED} {epochs}".encode()
    ).hexdigest()
    kept = cache / f"simclr-{key[:16]}"
    if kept.exists():
        return encoders.load_checkpoint(kept)[0]
    recipe = SimCLR(width=WIDTH, seed=SEED, augment=SimCLRAugment(VIEW, MIN_CROP))
    settings = Settings(epochs=epochs, batch=BATCH, seed=SEED, learning_rate=RATE, device="cpu")
    run = cache / f"run-{key[:16]}"
    resume = run.exists()
    loop = Loop(devices.launch(settings), recipe, ScanDataset(entries), settings, run, resume)
    loop.run(lambda epoch, means, record: print(f"epoch {epoch} {means}", flush=True) or {})
    encoder = recipe.network.get_submodule("encoder").eval()
    encoders.save_encoder(kept, encoder, f"SimCLR, {epochs} epochs on the cohort")
    return encoder


def kept_encoder(bundle: Path) -> nn.Module:
    """The network that a bundle made by this script ships."""
    encoder = encoders.build(width=WIDTH).eval()
    with bundles.open(bundle) as opened:
        if torch_system.load(encoder, opened.model()) != torch_system.BUNDLE:
            raise InputError(f"{bundle} holds another network than ResNet-18 of width {WIDTH:g}")
    return encoder


def probes(
    encoder: nn.Module, seen: Exposure, folder: Path, entries: list[StoredScan], cache: Path
) -> list[FittedProbe]:
    """A cross-validated probe for each task."""
    found, products = [], gram(entries)
    x = embeddings(encoder, entries, cache / "embeddings")
    for task in (AGE, SEX):
        cohort = cohorts.read(folder, task)
        volumes = [entry.facts["brain_volume_ml"] for entry in entries]
        digest = encoders.digest(encoder)
        tested = overlap(seen, cohort, entries)
        one = probe.fit(x, cohort, SEED, 5, 20, digest, volumes, tested, gram=products)
        one.head.exposure = seen | exposure(cohort, entries, labels=True)
        found.append(one)
    return found


def skill(found: list[FittedProbe]) -> float:
    """How far above the baselines, averaged over the tasks: 0 is a baseline, 1 is perfect."""
    parts = []
    for one in found:
        evidence = one.head.evidence
        value, baseline = evidence["value"], evidence["baseline"]
        better = baseline - value if evidence["metric"] == "MAE" else value - baseline
        parts.append(better / (baseline if evidence["metric"] == "MAE" else 1.0 - baseline))
    return float(np.mean(parts))


def limits(entries: list[StoredScan], heads: list[Any]) -> list[str]:
    """What the sample was, in sentences that every result carries."""
    low, high = heads[0].evidence["label_range"]
    return [
        f"Demonstration: fitted on {len(entries)} skull-stripped adult heads of one scanner, "
        f"ages {low:g} to {high:g}, more women than men, some with mild depression.",
        "Another scanner, age or sequence is outside what it has seen.",
        "Its encoder was chosen from several by the very figures it reports: "
        "they are a little kind.",
    ]


def make(folder: Path, epochs: int, kept: Path | None, cache: Path, out: Path) -> Bundle:
    """Prepare, pretrain, compare, and write the bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = preprocessing_parts(Path(scratch))
        bare = cache / "preprocessing.fmtool"
        opened = assemble(
            bare, random_encoder(), [], parts, BundleNotes("preprocessing"), overwrite=True
        )
        cohort = cohorts.read(folder, AGE)
        entries = prepare(cohort, cache / "volumes", opened)
        pretrained = (
            pretrained_encoder(cohort, entries, epochs, cache)
            if kept is None
            else kept_encoder(kept)
        )
        candidates = {
            "random weights": (random_encoder(), Exposure()),
            f"SimCLR, {epochs} epochs on the same scans": (
                pretrained,
                exposure(cohort, entries, labels=False),
            ),
        }
        found = {name: probes(*one, folder, entries, cache) for name, one in candidates.items()}
        scores = {name: skill(p) for name, p in found.items()}
        for name, score in scores.items():
            print(f"{name}: mean skill {score:.3f}")
            print(json.dumps([p.head.evidence for p in found[name]], indent=1))
        best = max(scores, key=lambda name: scores[name])
        heads = [p.head for p in found[best]]
        compared = "; ".join(f"{name}: {score:.3f}" for name, score in scores.items())
        notes = BundleNotes(
            name="demo",
            source=f"{best} (mean cross-validated skill over both tasks: {compared})",
            limits=limits(entries, heads),
            calibration=ranges([entry.facts for entry in entries]),
            demonstration=True,
            seen=candidates[best][1],
        )
        fp16 = Wanted(fp16=True)
        return assemble(out, candidates[best][0], heads, parts, notes, fp16, overwrite=True)


def main() -> None:
    """Parse, make, print."""
    args = script.options(
        __doc__,
        "cohort",
        epochs=100,
        encoder=(Path, "an earlier bundle; its epochs are --epochs"),
        cache=Path(".cache/demo"),
        out=DEMO,
    )
    bundle = make(args.cohort, args.epochs, args.encoder, args.cache, args.out)
    size = sum(facts.bytes for facts in bundle.manifest.files.values())
    print(f"{bundle.path}: {size / 1e6:.2f} MB, digest {bundle.digest}")
    bundles.open(bundle.path)


if __name__ == "__main__":
    main()
