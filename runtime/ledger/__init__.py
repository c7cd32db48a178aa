"""The ledger: one SQLite file that says what is to be done, what is done, and what came of it."""

from runtime.ledger.ledger import Ledger
from runtime.ledger.names import FILE, Identifiers

__all__ = ["FILE", "Identifiers", "Ledger"]
