from __future__ import annotations

from typing import Any

import pytest

from fmtool.errors import UsageError
from training.fit.settings import Settings


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; it must be 1 or more"),
        ({"workers": -1}, "workers is -1; it must be 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"weight_decay": -1.0}, "weight_decay is -1"),
        ({"clip_norm": 0.0}, "clip_norm is 0"),
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'; there are adam, lars"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; there are float32, bfloat16"),
        ({"device": "tpu"}, "unknown device 'tpu'; there are auto, cpu, cuda"),
    ],
)
def test_bad_values_are_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Settings(**values)


def test_what_a_resumed_run_may_change() -> None:
    before = Settings(epochs=10).to_dict()
    assert Settings(epochs=20, workers=3, checkpoint_every=1).changed_from(before) == []
    assert Settings(epochs=10, batch=7).changed_from(before) == ["batch was 6 and is 7"]
    lars = Settings(epochs=10, optimizer="lars")
    assert Settings(epochs=20, optimizer="lars").changed_from(lars.to_dict()) == [
        "epochs was 10 and is 20"
    ]
