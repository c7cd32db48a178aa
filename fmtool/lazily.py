"""Names that a package offers and loads when they are first used: importing it stays light."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any


def lazily(
    package: str, *places: str
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__all__`, `__getattr__` and `__dir__` (PEP 562).

    Args:
        package: its name.
        places: where each name is: "module:name", or "package.module" for a module itself.
    """
    homes = {place.replace(":", ".").rpartition(".")[2]: place for place in places}

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return pkgutil.resolve_name(homes[name])

    return sorted(homes), find, lambda: sorted(homes)
