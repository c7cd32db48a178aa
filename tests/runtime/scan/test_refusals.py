"""Reading scans: every broken or unsuitable file is refused in one sentence that names it."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage

from fmtool.errors import InputError
from runtime import scan
from runtime.scan import nifti

SHAPE = (18, 20, 22)
Header = dict[str, Any]


def volume(changes: Header | None = None, array: Any = None, affine: Any = None) -> bytes:
    """A plain .nii file whose header fields are then overwritten."""
    data = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    raw = image.to_bytes()
    header = nib.Nifti1Header(raw[:348], check=False)
    for name, value in (changes or {}).items():
        header[name] = value
    return header.binaryblock + raw[348:]


def sheared() -> Any:
    affine = np.diag([2.0, 2, 2, 1])
    affine[0, 1] = 0.5
    return affine


def with_value(value: float) -> Any:
    array = np.ones(SHAPE, dtype=np.float32)
    array[:2, :3, :4] = value
    array[9] = 5
    return array


QFORM = {"sform_code": 0, "qform_code": 1}
RGB = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
RAW: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: b"subject,age\nsub-01,31\n", "not a NIfTI file"),
    "dicom": (lambda: bytes(128) + b"DICM" + bytes(400), "no DICOM file that can be used"),
    "zip": (lambda: b"PK\x03\x04" + bytes(400), "not a whole zip archive"),
    "gzip of text": (lambda: gzip.compress(b"hello" * 200), "not a NIfTI file"),
    "analyze": (lambda: volume({"magic": b""}), "Analyze"),
    "pair": (lambda: volume({"magic": b"ni1"}), "pair"),
    "half a header": (lambda: volume()[:200], "not a NIfTI file"),
    "short": (lambda: volume()[:-10], "cut off"),
    "short gzip stream": (lambda: gzip.compress(volume()[:-10]), "cut off"),
    "truncated gzip": (lambda: gzip.compress(volume())[:-2000], "cut off"),
    "gzip without its checksum": (lambda: gzip.compress(volume())[:-8], "cut off"),
    "flipped bit": (lambda: flipped(gzip.compress(volume())), "damaged"),
    "too much data": (lambda: volume() + bytes(22 * 20 * 2 * 2), "more voxels"),
    "too much gzipped": (lambda: gzip.compress(volume() + bytes(22 * 20 * 2 * 2)), "more voxels"),
    "no dimensions": (lambda: volume({"dim": [0] * 8}), "dimensions"),
    "rank 99": (lambda: volume({"dim": [99, 18, 20, 22, 1, 1, 1, 0]}), "dimensions"),
    "negative axis": (lambda: volume({"dim": [3, -18, 20, 22, 1, 1, 1, 1]}), "dimensions"),
    "series": (lambda: volume({"dim": [4, 18, 20, 22, 9, 1, 1, 1]}), "series of 9 volumes"),
    "slice": (lambda: volume({"dim": [2, 18, 20, 1, 1, 1, 1, 1]}), "a slice"),
    "slab": (lambda: volume({"dim": [3, 18, 20, 15, 1, 1, 1, 1]}), "a slab"),
    "gigantic": (lambda: volume({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}), "claims"),
    "many voxels": (lambda: volume({"dim": [3, 1024, 1024, 1024, 1, 1, 1, 1]}), "claims"),
    "large": (lambda: volume({"dim": [3, 512, 512, 512, 1, 1, 1, 1]}), "cannot hold"),
    "large gzip": (
        lambda: gzip.compress(volume({"dim": [3, 512, 512, 512, 1, 1, 1, 1]})),
        "cannot hold",
    ),
    "offset": (lambda: volume({"vox_offset": -5}), "puts the voxels at byte -5"),
    "offset nan": (lambda: volume({"vox_offset": np.nan}), "puts the voxels at byte nan"),
    "unknown type": (lambda: volume({"datatype": 77}), "data type 77"),
    "colour": (lambda: volume(array=RGB), "colour"),
    "complex": (lambda: volume(array=np.zeros(SHAPE, np.complex64)), "complex"),
    "long double": (lambda: volume({"datatype": 1536}), "unusual voxels"),
    "zeros": (lambda: volume(array=np.zeros(SHAPE, np.int16)), "the value 0 in every voxel"),
    "constant": (lambda: volume(array=np.full(SHAPE, 7, np.uint8)), "the value 7 in every"),
    "nan": (lambda: volume(array=with_value(np.nan)), "24 voxels of 7920"),
    "infinite": (lambda: volume(array=with_value(-np.inf)), "24 voxels of 7920"),
    "beyond float32": (lambda: volume(array=with_value(1).astype(float) * 1e39), "not finite"),
    "zero pixdim": (lambda: volume(QFORM | {"pixdim": [1, 2, 0, 2, 0, 0, 0, 0]}), "voxel sizes"),
    "negative pixdim": (lambda: volume(QFORM | {"pixdim": [1, 2, -2, 2, 0, 0, 0, 0]}), "voxel"),
    "annex pointer": (lambda: b"/annex/objects/MD5E-s12--34.nii.gz\n", "git annex get"),
    "LFS pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha", "git lfs pull"),
    "truncated bzip2": (lambda: bz2.compress(volume())[:-300], "cut off"),
    "bzip2 without its checksum": (lambda: bz2.compress(volume())[:-9] + bytes(9), "damaged"),
    "too much in bzip2": (lambda: bz2.compress(volume() + bytes(22 * 20 * 4)), "more voxels"),
    "20 mm": (lambda: volume(affine=np.diag([20.0, 2, 2, 1])), "expected 0.1 to 10 mm"),
    "micrometres": (lambda: volume({"xyzt_units": 3}), "0.002 x 0.002 x 0.002 mm"),
    "singular": (lambda: volume({"srow_z": [0, 0, 0, 0]}), "singular"),
    "dependent": (lambda: volume({"srow_z": [2, 0, 0, 0], "srow_x": [2, 0, 0, 0]}), "singular"),
    "far": (lambda: volume({"srow_x": [2, 0, 0, 1e30]}), "impossible lengths"),
    "sheared": (lambda: volume(affine=sheared()), "sheared"),
    "damaged sform": (lambda: volume({"srow_x": [np.nan] * 4}), "sform is no orientation"),
    "no orientation": (lambda: volume({"sform_code": 0, "qform_code": 0}), "--assume-ras"),
}


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize("case", list(RAW))
def test_a_bad_file_is_refused(tmp_path: Path, case: str) -> None:
    make, words = RAW[case]
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(make())
    with pytest.raises(InputError) as caught:
        scan.read(path)
    message = str(caught.value)
    assert words in message
    assert os.fspath(path) in message
    assert "\n" not in message


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        scan.read(tmp_path / "none.nii.gz")
    with pytest.raises(InputError, match="folder"):
        scan.read(tmp_path)
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(InputError, match="is not a file"):
        scan.read(tmp_path / "pipe.nii")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(volume())

    def denied(*_: Any) -> None:  # root may read everything, so the refusal itself is made
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(InputError, match=r"cannot be read.*Permission denied"):
        scan.read(path)


def test_a_decompression_bomb_stops_at_the_promised_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(volume() + bytes(1 << 26), 9)
    (tmp_path / "bomb.nii.gz").write_bytes(bomb)
    inflated = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._real = real(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal inflated
            piece = self._real.decompress(data, most)
            inflated += len(piece)
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(InputError, match="more voxels"):
        scan.read(tmp_path / "bomb.nii.gz")
    assert inflated <= len(volume()) + 2 * 20 * 22


def test_nothing_is_allocated_for_a_promise_the_file_cannot_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(RAW["large gzip"][0]())

    def allocate(*_: Any, **__: Any) -> None:
        raise AssertionError("allocated")

    monkeypatch.setattr(nifti.np, "empty", allocate)
    with pytest.raises(InputError, match="cannot hold"):
        scan.read(path)


def test_an_mgz_without_orientation_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mgh"
    nib.save(MGHImage(np.ones(SHAPE, np.float32), np.eye(4)), path)
    raw = bytearray(path.read_bytes())
    path.write_bytes(raw[:100])
    with pytest.raises(InputError, match="cut off"):
        scan.read(path)
    raw[28:30] = b"\0\0"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="no orientation"):
        scan.read(path)


@pytest.mark.filterwarnings("error")
def test_random_damage_gives_a_sound_scan_or_a_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    array = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    affine = np.diag([-2.0, 2, 2, 1])
    kinds = (nib.Nifti1Image, nib.Nifti2Image, MGHImage)
    files = [kind(array, affine).to_bytes() for kind in kinds]
    path = tmp_path / "a.nii"
    refused = 0
    for turn in range(600):
        data = bytearray(files[turn % len(files)])
        for place in rng.integers(0, 560, size=rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        stored = bytearray(gzip.compress(data, 1) if turn % 4 == 0 else data)
        if turn % 8 == 0:
            stored[rng.integers(0, len(stored))] ^= 0x55
        path.write_bytes(stored)
        try:
            got = scan.read(path, assume_ras=turn % 2 == 0)
        except InputError:
            refused += 1
        else:
            assert np.isfinite(got.array).all()
            assert np.isfinite(got.affine).all()
    assert 100 < refused < 600
