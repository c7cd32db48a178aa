"""The paper's encoder at its full size with random weights: what a speed is measured on.

    python -m benchmarks.full_size FOLDER

writes FOLDER/full-size.fmtool, in float32 and FP16, for `fmtool bench --bundle`, and
FOLDER/encoder, for `fmtool train probe` and `fmtool export`.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.shared import script
from fmtool import bundle as bundles
from fmtool import task
from fmtool.bundle import Bundle

SEED = 42


def encoder():  # type: ignore[no-untyped-def]
    """ResNet-18, 512 features, seeded random weights, in eval mode."""
    import torch

    from training import encoders

    torch.manual_seed(SEED)
    return encoders.build("resnet18", width=1.0).eval()


def bundle(folder: Path) -> Bundle:
    """The full-size bundle in `folder`, exported on the first call.

    Its heads are zero maps: they cost what a real head costs and say nothing.
    """
    target = folder / "full-size.fmtool"
    if target.exists():
        return bundles.open(target)
    import numpy as np

    from export.pack import pack
    from training.evidence.head import Head

    heads = [
        Head(
            task=task.get(name),
            weight=np.zeros(512, dtype=np.float32),
            bias=0.0,
            evidence={"beats_baseline": False, "baseline_name": "none: random weights"},
            encoder_sha256="",
        )
        for name in ("age", "sex")
    ]
    return pack(target, encoder(), heads, fp16=True, name="full-size random weights")


def main() -> None:
    """Write the encoder and the bundle, and say where they are."""
    from training.encoders.encoder_folder import save_encoder

    folder = script.options(__doc__, "folder").folder
    if not (folder / "encoder").exists():
        save_encoder(folder / "encoder", encoder(), "random weights")
    print(folder / "encoder")
    print(bundle(folder).path)


if __name__ == "__main__":
    main()
