"""minisign's files: two or four lines of text, base64 after a comment.

public key   "Ed", id (8 bytes), Ed25519 public key (32)
private key  "Ed", how it is protected, "B2", salt and limits (48), id (8), seed (32), public key
             (32), BLAKE2b-256 of "Ed", id, seed and public key; not protected by a passphrase
signature    "ED", id, Ed25519 signature of the file's BLAKE2b-512 (64); below it a comment that is
             signed too, and the signature of the signature and the comment
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from fmtool.bundle.signing import ed25519
from fmtool.bundle.signing.ed25519 import PUBLIC_BYTES, SEED_BYTES, SIGNATURE_BYTES

ID_BYTES = 8
MOST_BYTES = 4096
"""Of any such file."""

_PURE, _HASHED, _BARE, _CHECKSUM = b"Ed", b"ED", b"\0\0", b"B2"
_LIMITS = bytes(32 + 8 + 8)
_COMMENT, _TRUSTED = "untrusted comment: ", "trusted comment: "


@dataclass(frozen=True)
class PublicKey:
    """Who may be trusted: `number` is the key's id, by which it is found; `key` are its bytes."""

    number: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return self.number[::-1].hex().upper()

    def text(self) -> str:
        """The file."""
        line = base64.b64encode(_PURE + self.number + self.key).decode()
        return f"{_COMMENT}minisign public key {self.name}\n{line}\n"


@dataclass(frozen=True)
class PrivateKey:
    """Who signs: the seed is the secret."""

    number: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.name})"  # never the seed

    @property
    def public(self) -> PublicKey:
        """Its other half."""
        return PublicKey(self.number, ed25519.public_of(self.seed))

    def text(self) -> str:
        """The file."""
        whole = self.number + self.seed + self.public.key
        head = _PURE + _BARE + _CHECKSUM + _LIMITS
        line = base64.b64encode(head + whole + _checksum(whole)).decode()
        return f"{_COMMENT}minisign secret key, not encrypted: keep it to yourself\n{line}\n"


def generate() -> PrivateKey:
    """A new key, from the system's random numbers."""
    return PrivateKey(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SEED_BYTES))


def read_public(text: str) -> PublicKey:
    """The key of a public key's file.

    Raises:
        ValueError: if it is none.
    """
    lines = _lines(text, 2)
    raw = _decoded(lines[1], len(_PURE) + ID_BYTES + PUBLIC_BYTES)
    if not raw.startswith(_PURE):
        raise ValueError("it is not a minisign public key")
    return PublicKey(raw[2:10], raw[10:])


def read_private(text: str) -> PrivateKey:
    """The key of a private key's file.

    Raises:
        ValueError: if it is none, or is protected by a passphrase.
    """
    lines = _lines(text, 2)
    whole_bytes = ID_BYTES + SEED_BYTES + PUBLIC_BYTES
    raw = _decoded(lines[1], 6 + len(_LIMITS) + whole_bytes + 32)
    if raw[:2] != _PURE or raw[4:6] != _CHECKSUM:
        raise ValueError("it is not a minisign secret key")
    if raw[2:4] != _BARE:
        raise ValueError("it is protected by a passphrase; take one that is not (minisign -GW)")
    whole, checksum = raw[-32 - whole_bytes : -32], raw[-32:]
    key = PrivateKey(whole[:ID_BYTES], whole[ID_BYTES : ID_BYTES + SEED_BYTES])
    # minisign itself leaves the checksum of an unprotected key empty.
    if checksum not in (_checksum(whole), bytes(32)) or key.public.key != whole[-PUBLIC_BYTES:]:
        raise ValueError("it is damaged: its checksum does not match")
    return key


def sign(data: bytes, key: PrivateKey, comment: str) -> str:
    """The signature's file; `comment` is one line, signed too."""
    signature = ed25519.sign(_hash(data), key.seed)
    outer = ed25519.sign(signature + comment.encode(), key.seed)
    line = base64.b64encode(_HASHED + key.number + signature).decode()
    lines = [f"{_COMMENT}signature from key {key.public.name}", line]
    return "\n".join([*lines, _TRUSTED + comment, base64.b64encode(outer).decode(), ""])


def signer(text: str) -> bytes:
    """The id of the key that a signature's file names.

    Raises:
        ValueError: if it is no signature.
    """
    return _parts(text)[0]


def verify(data: bytes, text: str, key: PublicKey) -> bool:
    """Whether a signature's file is of `data` and by `key`, and its comment too.

    Raises:
        ValueError: if it is no signature.
    """
    number, signature, comment, outer = _parts(text)
    return (
        number == key.number
        and ed25519.is_of(signature, _hash(data), key.key)
        and ed25519.is_of(outer, signature + comment.encode(), key.key)
    )


def _parts(text: str) -> tuple[bytes, bytes, str, bytes]:
    _, line, comment, last = _lines(text, 4)
    raw = _decoded(line, len(_HASHED) + ID_BYTES + SIGNATURE_BYTES)
    if not raw.startswith(_HASHED) or not comment.startswith(_TRUSTED):
        raise ValueError("it is not a signature by minisign (of a hash, as it makes by default)")
    return raw[2:10], raw[10:], comment.removeprefix(_TRUSTED), _decoded(last, SIGNATURE_BYTES)


def _lines(text: str, count: int) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) != count or not lines[0].startswith(_COMMENT):
        raise ValueError(f"it does not have the {count} lines of such a file")
    return [line.removesuffix("\r") for line in lines]


def _decoded(line: str, size: int) -> bytes:
    try:
        raw = base64.b64decode(line.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("it holds no base64") from None
    if len(raw) != size:
        raise ValueError("it is cut off, or of another kind")
    return raw


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data).digest()


def _checksum(whole: bytes) -> bytes:
    return hashlib.blake2b(_PURE + whole, digest_size=32).digest()
