"""The states of an item, and what asking for one may answer."""

from __future__ import annotations

from typing import Literal

ATTEMPTS = 3
"""How often an item is tried before a passing cause counts as a lasting one."""

State = Literal["waiting", "running", "done", "failed", "quarantined"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "quarantined")

Claim = Literal["claimed", "busy", "done", "failed", "quarantined"]
"""Ours now; in another process's hands, as it is or as its twin; or settled."""
