"""The signature algorithm, by `cryptography`, which only who signs or checks needs."""

from __future__ import annotations

from fmtool.errors import CapabilityError

SEED_BYTES = PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def public_of(seed: bytes) -> bytes:
    """The public key of a private one.

    Raises:
        CapabilityError: if `cryptography` is not installed.
    """
    _installed()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(data: bytes, seed: bytes) -> bytes:
    """A signature (RFC 8032) of `data`.

    Raises:
        CapabilityError: see `public_of`.
    """
    _installed()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign(data)


def is_of(signature: bytes, data: bytes, public: bytes) -> bool:
    """Whether a signature of `data` was made with the private key of `public`.

    Raises:
        CapabilityError: see `public_of`.
    """
    _installed()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _installed() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise CapabilityError(
            "signatures need cryptography; install it with `pip install 'fmtool[sign]'`"
        ) from None
