"""Bundles signed on request: Ed25519, in minisign's formats (https://jedisct1.github.io/minisign)."""
