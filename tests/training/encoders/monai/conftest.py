"""MONAI bundles as MONAI's own classes make them, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from monai.networks import nets
from torch import nn

VIT = {
    "in_channels": 1, "img_size": [150, 192, 192], "patch_size": [30, 32, 32], "hidden_size": 12,
    "mlp_dim": 20, "num_layers": 2, "num_heads": 3,
}  # fmt: skip
SHAPES = {
    "patch_embedding.position_embeddings": (1, 180, 12),
    "patch_embedding.patch_embeddings.weight": (12, 1, 30, 32, 32),
    "patch_embedding.patch_embeddings.bias": (12,),
    **{
        f"blocks.{block}.{name}": shape
        for block in range(2)
        for name, shape in {
            "mlp.linear1.weight": (20, 12), "mlp.linear1.bias": (20,),
            "mlp.linear2.weight": (12, 20), "mlp.linear2.bias": (12,),
            "norm1.weight": (12,), "norm1.bias": (12,), "norm2.weight": (12,), "norm2.bias": (12,),
            "attn.out_proj.weight": (12, 12), "attn.out_proj.bias": (12,),
            "attn.qkv.weight": (36, 12),
        }.items()
    },
    "norm.weight": (12,), "norm.bias": (12,),
}  # fmt: skip
"""What MONAI calls the weights of that transformer."""


def resnet(name: str = "resnet18", **changes: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A narrow residual network whose BatchNorm statistics are not the identity."""
    given = {
        "spatial_dims": 3, "n_input_channels": 1, "num_classes": 2, "widen_factor": 0.03125,
        "conv1_t_stride": [2, 2, 2], "bias_downsample": False,
    } | changes  # fmt: skip
    torch.manual_seed(0)
    network = getattr(nets, name)(**given)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval(), {"_target_": name, **given}


def vit(name: str = "ViT", **changes: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A transformer of two layers, every weight of it random."""
    pytest.importorskip("einops", reason="MONAI's transformer needs einops")
    given = VIT | changes
    torch.manual_seed(0)
    network = getattr(nets, name)(**given)
    for weight in network.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))
    return network.eval(), {"_target_": f"monai.networks.nets.{name}", **given}


def write(folder: Path, definition: Any, weights: Any, **more: Any) -> Path:
    """A bundle's folder: the network's definition, further entries, and what `torch.save` gets."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    config = {"imports": ["$import os"], "network_def": definition, **more}
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    about = {"name": "Brain age", "version": "0.2.1"}
    (folder / "configs" / "metadata.json").write_text(json.dumps(about))
    if weights is not None:
        torch.save(weights, folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """`resnet`, `vit` and `write`; `named_vit` needs no einops, and is no module."""
    state = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    named = (state, {"_target_": "ViT", **VIT})
    return SimpleNamespace(resnet=resnet, vit=vit, write=write, named_vit=named)
