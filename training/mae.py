"""Masked autoencoder pretraining: most patches are hidden, and predicted from those that are seen.

For a z-scored volume cut into patches x_1 .. x_P, of which the random set M is hidden (75 %):

    tokens = encoder(x_i for i not in M);  x^ = decoder(tokens, and a mask token for each i in M)
    loss   = mean over i in M and in the brain of  mean over voxels of (x^_i - n(x_i))^2

with n(x) = (x - mean(x)) / standard deviation of x, per patch. The encoder runs on the seen quarter
alone, which is what makes it cheap. Patches with no brain in them are zero everywhere, have nothing
to predict and are not counted; 1 is the loss of predicting each patch's mean.
Source: He et al., "Masked Autoencoders Are Scalable Vision Learners" (arXiv 2111.06377).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Generator, Tensor, nn

from fmtool.errors import InputError, UsageError
from training import encoders
from training.augment import SimCLRAugment
from training.augment.whole import whole
from training.encoders.vit import (
    Shape,
    TransformerBlock,
    ViT,
    grid_of,
    initialise,
    patchify,
    sincos,
)
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings

RATIO = 0.75
"""The share of patches that is hidden."""

_DECODER_LAYERS = 4


class MaskedAutoencoder(nn.Module):
    """An encoder, and a light decoder of four layers that pretraining throws away.

    The decoder is as wide as a ViT-Tiny, and half as wide as a ViT-Base.

    Args:
        encoder: a transformer by `training.encoders.build`.

    Raises:
        UsageError: for a residual network, which cannot leave patches out.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        if not isinstance(encoder, ViT):
            raise UsageError("a masked autoencoder needs a transformer: vit_tiny or vit_base")
        heads = min(encoder.heads, 6)
        features = encoder.features * heads // encoder.heads
        self.encoder = encoder
        self.enter = nn.Linear(encoder.features, features)
        self.mask_token = nn.Parameter(torch.zeros(features))
        self.decoder = nn.Sequential(
            *(TransformerBlock(features, heads, 4 * features) for _ in range(_DECODER_LAYERS)),
            nn.LayerNorm(features),
            nn.Linear(features, encoder.embed.weight[0].numel()),
        )
        self.enter.apply(initialise)
        self.decoder.apply(initialise)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, volumes: Tensor, keep: Tensor) -> Tensor:
        """Predictions for all patches, (B, P, voxels of a patch).

        Args:
            volumes: [B, 1, D, H, W], z-scored.
            keep: (B, K) integers, the patches that the encoder sees, as `patchify` numbers them.
        """
        grid = grid_of(volumes.shape, self.encoder.patch)
        patches = patchify(volumes, self.encoder.patch)
        places = self.encoder.places(grid, volumes.device)
        seen = self.encoder.encode(self.encoder.embed_patches(_take(patches, keep)), places[keep])
        entered = self.enter(seen)
        features = entered.shape[2]
        tokens = self.mask_token.to(entered.dtype).expand(*patches.shape[:2], features)
        tokens = tokens.scatter(1, keep[:, :, None].expand(-1, -1, features), entered)
        return self.decoder(tokens + sincos(grid, features, volumes.device))


def masked_error(predictions: Tensor, patches: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """The squared errors of the hidden patches with brain in them, and how many those are.

    Args:
        predictions: (B, P, V).
        patches: (B, P, V), z-scored, zero outside the brain.
        keep: (B, K), the patches that were seen.

    Returns:
        the sum over those patches of the mean over their voxels, and their number; both scalars.
    """
    patches = patches.float()
    centred = patches - patches.mean(dim=2, keepdim=True)
    targets = centred / (centred.square().mean(dim=2, keepdim=True) + 1e-6).sqrt()
    errors = (predictions.float() - targets).square().mean(dim=2)
    counted = patches.ne(0).any(dim=2).scatter(1, keep, False)
    return (errors * counted).sum(), counted.sum().float()


class MAE:
    """The recipe.

    Args:
        name: of the encoder, "vit_tiny" or "vit_base".
        width: of the encoder.
        patch: of the encoder, see `training.encoders.build`.
        seed: of the first weights.
        augment: makes a view of each scan; when absent, the whole scan is z-scored.
        output_shape: (z, y, x) voxels that whole scans are resized to; needs no `augment`.
        ratio: the share of patches to hide.

    Raises:
        UsageError: for an encoder without patches, a ratio outside (0, 1), or views that are not
            whole numbers of patches.
    """

    name = "mae"

    def __init__(
        self,
        name: str = "vit_tiny",
        width: float = 1.0,
        patch: Shape | None = None,
        seed: int = 42,
        augment: SimCLRAugment | None = None,
        output_shape: Shape | None = None,
        ratio: float = RATIO,
    ) -> None:
        if not 0 < ratio < 1:
            raise UsageError(f"the masked share of patches lies between 0 and 1, not at {ratio:g}")
        if augment is not None and output_shape is not None:
            raise UsageError("an augmentation has its own output shape; give one of the two")
        with torch.random.fork_rng(devices=[]):  # building draws from torch's global generator
            torch.manual_seed(seed)
            network = MaskedAutoencoder(encoders.build(name, width, patch))
        self.network: nn.Module = network
        self.augment, self.output_shape, self.ratio = augment, output_shape, ratio
        self._patch = network.encoder.patch
        shape = output_shape if augment is None else augment.output_shape
        if shape is not None:
            grid_of(torch.Size(shape), self._patch)  # refused now, not after the scans are prepared
        self._encoder = {"name": name, "width": width, "patch": list(self._patch), "seed": seed}

    def describe(self) -> dict[str, Any]:
        """See `training.fit.recipe.Recipe`."""
        return {
            "encoder": self._encoder,
            "augment": None if self.augment is None else asdict(self.augment),
            "output_shape": None if self.output_shape is None else list(self.output_shape),
            "ratio": self.ratio,
        }

    def check(self, settings: Settings, device: torch.device) -> None:
        """Any settings will do."""

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """The mean over the hidden brain patches of all processes' scans."""
        drawn = [self._view(batch, position) for position in range(len(batch.volumes))]
        views = torch.stack([view for view, _ in drawn])[:, None]
        keep = torch.stack([keep for _, keep in drawn]).to(views.device)
        predictions = network(views, keep)
        error, count = masked_error(predictions, patchify(views, self._patch), keep)
        # Gradients are averaged over processes; scaled so, that is the mean over all patches.
        counts = gather(count[None])
        value = error * len(counts) / counts.sum().clamp(min=1)
        return Loss(value, {"hidden_patches": counts.sum() / len(counts) / len(views)})

    def _view(self, batch: ScanBatch, position: int) -> tuple[Tensor, Tensor]:
        """A scan's view (z, y, x), and the patches of it that are seen, (K,)."""
        volume, mask = batch.volumes[position], batch.masks[position]
        random = batch.generator(position)
        if self.augment is not None:
            view = self.augment(volume, mask, random)
        else:
            view = whole(volume, mask, self.output_shape)
        if not bool(view.any()):
            raise InputError(f"scan {batch.indices[position]} is empty inside its brain mask")
        z, y, x = grid_of(view.shape, self._patch)
        return view, seen(z * y * x, self.ratio, random)


def seen(count: int, ratio: float, generator: Generator) -> Tensor:
    """A random choice of the patches to see: one at least, and all but one at most.

    Args:
        count: patches of a volume.
        ratio: the share to hide.
        generator: the only source of randomness.

    Raises:
        UsageError: if there are fewer than two patches.
    """
    if count < 2:
        raise UsageError("a volume of one patch cannot be half hidden; take smaller patches")
    kept = min(max(round(count * (1 - ratio)), 1), count - 1)
    return torch.randperm(count, generator=generator)[:kept]


def _take(patches: Tensor, keep: Tensor) -> Tensor:
    return patches.gather(1, keep[:, :, None].expand(-1, -1, patches.shape[2]))
