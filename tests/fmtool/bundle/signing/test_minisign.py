"""minisign's formats, and that nothing but the right key and the right bytes passes."""

from __future__ import annotations

import base64
import hashlib

import pytest

pytest.importorskip("cryptography", reason="the sign extra is absent")

from fmtool.bundle.signing import ed25519, minisign

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
KEY = minisign.PrivateKey(bytes(range(8)), SEED)


def test_the_algorithm_is_that_of_rfc_8032():
    """Section 7.1, test 1."""
    assert ed25519.public_of(SEED).hex() == PUBLIC
    assert ed25519.sign(b"", SEED).hex().startswith("e5564300c360ac729086e2cc806e828a84877f1e")


def test_a_signature_s_file_is_as_minisign_describes_it():
    first, line, comment, last = minisign.sign(b"data", KEY, "about it").splitlines()
    assert first.startswith("untrusted comment: ")
    raw = base64.b64decode(line)
    assert (raw[:2], raw[2:10], len(raw)) == (b"ED", bytes(range(8)), 74)
    assert ed25519.is_of(
        raw[10:], hashlib.blake2b(b"data", digest_size=64).digest(), KEY.public.key
    )
    assert comment == "trusted comment: about it"
    assert ed25519.is_of(base64.b64decode(last), raw[10:] + b"about it", KEY.public.key)


def test_keys_are_read_back():
    assert minisign.read_private(KEY.text()) == KEY
    assert minisign.read_public(KEY.public.text()) == KEY.public
    assert KEY.public.name == "0706050403020100"
    assert "9d61" not in repr(KEY)
    assert minisign.generate() != minisign.generate()


def test_a_public_key_of_minisign_itself():
    """The one that its own releases are signed with."""
    text = "untrusted comment: x\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n"
    assert minisign.read_public(text).name == "E7620F1842B4E81F"


def test_only_the_right_bytes_and_the_right_key_pass():
    text = minisign.sign(b"data", KEY, "c")
    other = minisign.PrivateKey(KEY.number, bytes(32)).public
    assert minisign.verify(b"data", text, KEY.public)
    assert minisign.signer(text) == KEY.number
    assert not minisign.verify(b"datA", text, KEY.public)
    assert not minisign.verify(b"data", text, other)
    assert not minisign.verify(b"data", text.replace("comment: c", "comment: d"), KEY.public)


@pytest.mark.parametrize("read", [minisign.read_public, minisign.read_private, minisign.signer])
def test_other_files_are_none(read):
    whole = {
        minisign.read_public: KEY.public.text(),
        minisign.read_private: KEY.text(),
        minisign.signer: minisign.sign(b"x", KEY, "c"),
    }[read]
    read(whole)
    lines = whole.splitlines()
    for text in (
        "",
        "\n" * 4,
        whole.replace("untrusted", "trusted"),
        "\n".join([lines[0], lines[1][:-4], *lines[2:]]),
        "\n".join([lines[0], "é" + lines[1][1:], *lines[2:]]),
        "\n".join([lines[0], "AAAA" + lines[1][4:], *lines[2:]]),
        whole + whole,
    ):
        with pytest.raises(ValueError, match="it "):
            read(text)


def test_a_damaged_and_a_protected_private_key():
    first, line = KEY.text().splitlines()
    raw = bytearray(base64.b64decode(line))
    raw[70] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        minisign.read_private(f"{first}\n{base64.b64encode(raw).decode()}\n")
    raw[-32:] = bytes(32)
    with pytest.raises(ValueError, match="checksum"):  # the public key is not the seed's
        minisign.read_private(f"{first}\n{base64.b64encode(raw).decode()}\n")
    raw[70] ^= 1
    assert minisign.read_private(f"{first}\n{base64.b64encode(raw).decode()}\n") == KEY
    raw[2:4] = b"Sc"
    with pytest.raises(ValueError, match="passphrase"):
        minisign.read_private(f"{first}\n{base64.b64encode(raw).decode()}\n")
