"""MRD files: what a stream held is what comes back."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.service.mrd import wire
from runtime.service.mrd.rehearsal import files

pytest.importorskip("ismrmrd", reason="the mrd extra is absent")


def test_a_series_of_several_number_types_and_sizes_keeps_each(tmp_path):
    arrays = [
        np.full((1, 2, 3, 4), 1, np.int16),
        np.full((1, 2, 3, 4), 0.7, np.float32),
        np.full((1, 1, 5, 6), 70000.0, np.float32),
        np.full((1, 2, 3, 4), 2, np.int16),
    ]
    head = np.zeros(1, wire.IMAGE_HEADER)[0]
    head["version"], head["image_series_index"] = 1, 3
    told = b"<ismrmrdMeta></ismrmrdMeta>"
    messages = [wire.image_message(head, told, array) for array in arrays]
    files.write(tmp_path / "kept.h5", messages, "<ismrmrdHeader/>")
    read = [m for m in files.read(tmp_path / "kept.h5") if m.kind == wire.Tag.IMAGE]
    found = sorted((wire.image(m).data for m in read), key=lambda a: float(a.flat[0]))
    wanted = sorted(arrays, key=lambda a: float(a.flat[0]))
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
