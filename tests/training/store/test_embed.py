"""The embeddings of a frozen encoder are computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runtime.store import Store
from runtime.store.entry import MadeScan
from training import encoders
from training.augment import whole
from training.store import embed

SHAPE = (16, 18, 20)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = encoders.build(width=0.03125)
    encoder(torch.randn(4, 1, 16, 16, 16))
    return encoder


@pytest.fixture
def entries(tmp_path):
    found = []
    for i in range(3):
        scan, rng = tmp_path / f"{i}.nii", np.random.default_rng(i)
        scan.write_text(str(i))
        made = MadeScan(rng.random(SHAPE, dtype=np.float32), rng.random(SHAPE) < 0.5, {})
        found.append(Store(tmp_path / "store").get(scan, (), lambda made=made: made))
    return found


def test_embeddings_are_the_eval_mode_encoders(tmp_path, encoder, entries):
    encoder.train()
    found = embed.embeddings(encoder, entries, tmp_path / "cache")
    assert encoder.training
    assert (found.shape, found.dtype) == ((3, 16), np.float32)
    encoder.eval()
    for entry, embedding in zip(entries, found, strict=True):
        volume, mask = (
            torch.from_numpy(np.array(a))[None, None] for a in (entry.volume, entry.mask)
        )
        with torch.inference_mode():
            expected = encoder(encoders.masked_zscore(volume, mask))[0].numpy()
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-5)


def test_embeddings_are_computed_once_per_encoder_and_volume(
    tmp_path, encoder, entries, monkeypatch, caplog
):
    calls = []
    whole = embed.whole
    monkeypatch.setattr(embed, "whole", lambda *a: calls.append(1) or whole(*a))
    first = embed.embeddings(encoder, entries, tmp_path / "cache")
    again = embed.embeddings(encoder, entries[::-1], tmp_path / "cache")
    np.testing.assert_array_equal(first, again[::-1])
    assert len(calls) == 3
    other = encoders.build(width=0.03125)
    assert not np.allclose(embed.embeddings(other, entries, tmp_path / "cache"), first)
    assert len(calls) == 6
    cached = next((tmp_path / "cache" / encoders.digest(encoder)).glob("*.npy"))
    cached.write_bytes(cached.read_bytes()[:30])
    np.testing.assert_array_equal(embed.embeddings(encoder, entries, tmp_path / "cache"), first)
    assert len(calls) == 7
    assert "damaged" in caplog.text


def test_a_smaller_input_shape_is_another_embedding(tmp_path, encoder, entries):
    full = embed.embeddings(encoder, entries, tmp_path / "cache")
    small = embed.embeddings(encoder, entries, tmp_path / "cache", (16, 16, 16))
    assert not np.allclose(full, small, rtol=1e-3)
    volume, mask = (torch.from_numpy(np.array(a)) for a in (entries[0].volume, entries[0].mask))
    encoder.eval()
    with torch.inference_mode():
        expected = encoder(whole.whole(volume, mask, (16, 16, 16))[None, None])[0].numpy()
    np.testing.assert_allclose(small[0], expected, rtol=1e-4, atol=1e-5)
