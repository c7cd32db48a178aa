"""SimCLR pretraining: two augmented views of each scan, pulled together against all others.

For N scans with projections z of their 2N views, anchor i and its partner j (the same scan's other
view), s(a, b) the cosine and t the temperature:

    loss_i = -log( exp(s(z_i, z_j) / t) / sum over k != i of exp(s(z_i, z_k) / t) )

and the loss is the mean over the 2N anchors (NT-Xent). z = projector(encoder(view)).

Source: Chen et al., SimCLR (arXiv 2002.05709); 3D-Neuro-SimCLR (arXiv 2509.10620) for the encoder,
the projector, the temperature, the augmentation and the optimizer.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmtool.errors import UsageError
from training import encoders
from training.augment import SimCLRAugment
from training.encoders.projector import projector
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings
from training.runs import collapse

BF16_SMALLEST = 48
"""Voxels per axis of a view for bfloat16 on the CPU; a ResNet's last map is a sixteenth of it.

On maps of one or two voxels per axis, torch 2.13's bfloat16 weight gradients of 3D convolutions
read memory that was never written and can be anything; from three on they agree with float32.
"""


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """The normalised temperature-scaled cross-entropy, mean over the 2N anchors.

    Each view must pick the other view of its scan among the 2N - 1 other views, by cosine.

    Args:
        z1: (N, P), one view of each scan; need not be normalised.
        z2: (N, P), the other view.
        temperature: divides the cosines.

    Example:
        >>> import torch
        >>> from training.simclr import nt_xent
        >>> views = torch.eye(4)  # four scans, told apart at once
        >>> print(f"{nt_xent(views, views):.3f}, {nt_xent(views, views.roll(1, 0)):.3f}")
        0.594, 2.594
    """
    z = functional.normalize(torch.cat((z1, z2)).float(), dim=1)
    count = len(z1)
    itself = torch.eye(2 * count, dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    return functional.cross_entropy(similarity, partner)


class SimCLRNetwork(nn.Module):
    """Encoder and projector: views (B, 1, z, y, x) -> embeddings (B, F) and projections (B, 64).

    Args:
        encoder: as `training.encoders.build` makes it.
        recompute: keep less for the backward pass and compute it again there; see
            `training.encoders.stem`.
    """

    def __init__(self, encoder: nn.Module, recompute: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projector(encoders.feature_count(encoder))
        self._recompute = recompute

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Both, in the precision of the surrounding autocast."""
        maps = encoders.features(self.encoder, views, recompute=self._recompute)
        embeddings = encoders.pool(self.encoder, maps)
        return embeddings, self.projector(embeddings)


class SimCLR:
    """The recipe.

    Args:
        name: of the encoder, see `training.encoders.build`.
        width: of the encoder.
        seed: of the first weights.
        augment: makes the views; the paper's at full size when absent.
        temperature: of NT-Xent.
        recompute: trade time for memory; the result is the same up to rounding.

    Raises:
        UsageError: for an encoder that there is not, or a temperature not above zero.
    """

    name = "simclr"

    def __init__(
        self,
        name: str = "resnet18",
        width: float = 1.0,
        seed: int = 42,
        augment: SimCLRAugment | None = None,
        temperature: float = 0.5,
        recompute: bool = False,
    ) -> None:
        if not temperature > 0:
            raise UsageError(f"the temperature must be above 0, not {temperature:g}")
        with torch.random.fork_rng(devices=[]):  # building draws from torch's global generator
            torch.manual_seed(seed)
            self.network: nn.Module = SimCLRNetwork(encoders.build(name, width), recompute)
        self.augment = augment or SimCLRAugment()
        self.temperature = temperature
        self._encoder = {"name": name, "width": width, "seed": seed}

    def describe(self) -> dict[str, Any]:
        """See `training.fit.recipe.Recipe`."""
        return {
            "encoder": self._encoder,
            "augment": asdict(self.augment),
            "temperature": self.temperature,
        }

    def check(self, settings: Settings, device: torch.device) -> None:
        """Refuse what would train on wrong gradients.

        Raises:
            UsageError: for bfloat16 on the CPU with views too small for it, and batches of one.
        """
        shape = self.augment.output_shape
        if settings.precision == "bfloat16" and device.type == "cpu" and min(shape) < BF16_SMALLEST:
            raise UsageError(
                f"bfloat16 on the CPU needs views of {BF16_SMALLEST} voxels or more per axis, "
                f"not {shape}: train in float32"
            )
        if settings.batch < 2:
            raise UsageError("SimCLR tells scans apart: it needs batches of two scans or more")

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """NT-Xent over the scans of all processes; alignment and uniformity of the embeddings."""
        first, second = (
            torch.stack(
                [
                    self.augment(volume, mask, batch.generator(i, view))
                    for i, (volume, mask) in enumerate(zip(batch.volumes, batch.masks, strict=True))
                ]
            )
            for view in (0, 1)
        )
        views = torch.cat((first, second))[:, None]
        embeddings, projections = network(views.to(memory_format=torch.channels_last_3d))
        z1, z2 = (gather(half.float()) for half in projections.chunk(2))
        with torch.no_grad():
            h1, h2 = (gather(half.float()) for half in embeddings.chunk(2))
            facts = {
                "alignment": collapse.alignment(h1, h2),
                "uniformity": collapse.uniformity(h1, h2),
                "projection_uniformity": collapse.uniformity(z1, z2),
            }
        return Loss(nt_xent(z1, z2, self.temperature), facts)
