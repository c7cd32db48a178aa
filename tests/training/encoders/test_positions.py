"""Where a map's positions lie, against the weight of each input voxel in one of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fmtool import space
from training import encoders
from training.encoders.architecture import Architecture
from training.encoders.layout import Dense, Plain
from training.encoders.own_input import FSL, MEAN, MIN_MAX, OwnInput
from training.encoders.positions import positions

pytestmark = pytest.mark.usefixtures("one_thread")

DENSE = Dense(init_features=1, growth_rate=1, block_config=(1, 1, 1), bn_size=1)
KINDS = {
    "densenet": Architecture("densenet", 1.0, 2, None, DENSE),
    "sfcn": Architecture("sfcn", 1.0, 1, None, Plain((1, 1, 1, 1))),
}


def linear(encoder):
    """A sum with weights alike on both sides, but for its strides: maxima become means."""
    for module in list(encoder.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, nn.MaxPool3d):
                pool = nn.AvgPool3d(part.kernel_size, part.stride, part.padding)
                setattr(module, name, pool)
        for weight in module.parameters(recurse=False):
            nn.init.constant_(weight, 1e-2 if weight.ndim == 5 else 1.0)
    return encoder.eval()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_positions_centre_is_that_of_what_it_sees(kind):
    network = linear(kind.build())
    volume = torch.rand(1, 1, *space.CROP_SHAPE, requires_grad=True)
    maps = encoders.features(network, volume)
    middle = [n // 2 for n in maps.shape[2:]]
    maps[0, 0, middle[0], middle[1], middle[2]].backward()
    seen = volume.grad[0, 0].abs().double().numpy()
    assert 0 < seen.sum() == pytest.approx(seen[1:-1, 1:-1, 1:-1].sum()), "it sees no edge"
    centre = [(np.moveaxis(seen, a, 0).sum((1, 2)) * np.arange(seen.shape[a])).sum() / seen.sum()
              for a in range(3)]  # fmt: skip
    told = positions(network)
    found = np.array(told["map_first"]) + np.array(told["map_step"]) * middle
    np.testing.assert_allclose(found, centre, atol=0.05)


@pytest.mark.parametrize("own", [OwnInput((30, 64, 96)), OwnInput((32, 64, 96), MEAN, FSL)])
def test_an_own_inputs_voxels_lie_where_it_says(own):
    """A ramp along each axis of the crop tells every voxel of the input where it came from."""
    turned = own.frame == FSL
    for axis, size in enumerate(space.CROP_SHAPE):
        places = torch.arange(size, dtype=torch.float32)
        shape = [-1 if a == axis else 1 for a in range(3)]
        ramp = places.reshape(shape).expand(space.CROP_SHAPE)[None, None]
        entered = own.leave(OwnInput(own.shape, MIN_MAX, own.frame).enter(ramp))
        line = entered[0, 0].movedim(axis, 0).flatten(1).median(1).values
        count = tuple(own.shape[::-1] if turned else own.shape)
        first, step = own.onto_crop([0.0] * 3, [1.0] * 3, count)
        wanted = first[axis] + step[axis] * torch.arange(count[axis])
        whole = (wanted >= 0) & (wanted < size)
        assert whole.all()
        torch.testing.assert_close(line * (wanted.max() / line.max()), wanted, atol=0.02, rtol=1e-4)


def test_what_the_rules_tell_is_not_said():
    assert positions(encoders.build(width=1 / 32)) == {}
    assert positions(encoders.build("vit_tiny")) == {}
