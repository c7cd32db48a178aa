"""A bundle is written whole or not at all."""

import pytest

from fmtool import bundle
from fmtool.bundle import write as bundle_write
from fmtool.errors import BundleError


def test_writing_leaves_others_alone(toy, contents, tmp_path):
    with pytest.raises(BundleError, match="exists"):
        bundle_write.write(toy.path, *contents)
    other = tmp_path / "other.fmtool"
    other.mkdir()
    (other / "precious.txt").write_text("keep")
    with pytest.raises(BundleError, match="left as it is"):
        bundle_write.write(other, *contents, overwrite=True)
    with pytest.raises(BundleError, match=r"ends in \.fmtool"):
        bundle_write.write(tmp_path / "toy", *contents)
    assert (other / "precious.txt").read_text(encoding="utf-8") == "keep"


def test_a_failed_write_leaves_the_old_bundle_and_no_trace(toy, contents, tmp_path):
    with pytest.raises(BundleError, match=r"cannot write .*absent.* nothing was written"):
        bundle_write.write(
            toy.path, contents[0], {"model.onnx": tmp_path / "absent"}, overwrite=True
        )
    assert bundle.open(toy.path).digest == toy.digest
    assert [p.name for p in tmp_path.iterdir()] == ["toy.fmtool"]


def test_overwriting_replaces(toy, contents):
    anew = bundle_write.write(
        toy.path, contents[0], {**contents[1], "model.onnx": b"new"}, overwrite=True
    )
    assert anew.digest != toy.digest
    assert bundle.open(toy.path).model().read_bytes() == b"new"
