"""Fixed positions against a naive loop and MONAI's."""

from __future__ import annotations

import math

import pytest
import torch
from monai.networks.blocks.pos_embed_utils import build_sincos_position_embedding

from fmtool.errors import UsageError
from training.encoders.vit import sincos


def test_against_a_naive_loop():
    grid, features = (2, 3, 4), 12
    rows = []
    for z in range(2):
        for y in range(3):
            for x in range(4):
                row = []
                for place in (y, z, x):
                    for wave in (math.sin, math.cos):
                        row += [wave(place * 10000 ** (-k / 2)) for k in range(2)]
                rows.append(row)
    torch.testing.assert_close(sincos(grid, features), torch.tensor(rows))


@pytest.mark.parametrize("grid", [(10, 12, 12), (1, 2, 3)])
def test_against_monais(grid):
    wanted = build_sincos_position_embedding(list(grid), 96, 3)[0]
    torch.testing.assert_close(sincos(grid, 96), wanted.detach())


def test_every_place_has_its_own():
    places = sincos((10, 12, 12), 24)
    assert len(torch.unique(places, dim=0)) == len(places)


def test_a_multiple_of_six_is_needed():
    with pytest.raises(UsageError, match="six"):
        sincos((1, 1, 1), 16)
