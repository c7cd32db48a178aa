"""`fmtool bundle keygen|sign|verify --key`, and who requires a signature, as a site runs them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

pytest.importorskip("cryptography", reason="the sign extra is absent")

from fmtool import bundle
from fmtool.bundle import write as bundle_write


def test_from_the_key_to_a_service_that_requires_it(fmtool, tmp_path, monkeypatch):
    made = shutil.copytree(bundle.DEMO, tmp_path / "made.fmtool")
    key = tmp_path / "site.key"
    assert fmtool("bundle", "keygen", key).returncode == 0
    again = fmtool("bundle", "keygen", key)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    monkeypatch.setenv("FMTOOL_TRUSTED_KEYS", f"{key}.pub")
    for words in (["bundle", "show", made], ["predict", "none.nii", "--bundle", made]):
        refused = fmtool(*words)
        assert refused.returncode == 1
        assert "is not signed" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
    signed = fmtool("bundle", "sign", made, "--key", key)
    assert (signed.returncode, signed.stderr) == (0, "")
    assert fmtool("bundle", "show", made).returncode == 0


def test_verify_with_a_key(fmtool, tmp_path):
    made = shutil.copytree(bundle.DEMO, tmp_path / "made.fmtool")
    key = tmp_path / "site.key"
    fmtool("bundle", "keygen", key)
    verify = ["bundle", "verify", made, "--engine", "onnxruntime", "--signed-by", f"{key}.pub"]
    refused = fmtool(*verify)
    assert (refused.returncode, "is not signed" in refused.stderr) == (1, True)
    fmtool("bundle", "sign", made, "--key", key)
    passed = fmtool(*verify)
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.startswith("signed by ")
    assert "self-test passed" in passed.stdout


def test_what_is_not_signed(fmtool, tmp_path):
    made = shutil.copytree(bundle.DEMO, tmp_path / "made.fmtool")
    key = tmp_path / "site.key"
    fmtool("bundle", "keygen", key)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", made.parent, made.name)
    refused = fmtool("bundle", "sign", packed, "--key", key)
    assert (refused.returncode, "then pack it" in refused.stderr) == (2, True)
    (made / "model.onnx").write_bytes(b"changed")
    refused = fmtool("bundle", "sign", made, "--key", key)
    assert (refused.returncode, "damaged" in refused.stderr) == (1, True)
    key.chmod(0o644)
    refused = fmtool("bundle", "sign", made, "--key", key)
    assert (refused.returncode, "open to others" in refused.stderr) == (1, True)


def test_a_card_that_a_terminal_would_obey(fmtool, tmp_path):
    made = bundle_write.write(
        tmp_path / "made.fmtool",
        replace(bundle.open().manifest, trust="MODEL_CARD.md"),
        {"MODEL_CARD.md": b"# card\n\x1b[2J\xff"},
    )
    shown = fmtool("bundle", "show", made.path)
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    assert "# card\n\\x1b[2J" in shown.stdout
