"""A MONAI bundle's configuration read as data: references are followed, nothing is run.

In a bundle's configuration a string that starts with `$` is a Python expression, `@` refers to
another entry, `%` includes text, and `_target_` names something to import and call. Here only `@`
is followed, and only to plain values. Source: "MONAI Bundle Configuration",
https://docs.monai.io/en/stable/config_syntax.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fmtool.errors import InputError

NETWORK = "network_def"
TARGET = "_target_"

_MAX_VALUES, _MAX_DEPTH = 10_000, 32
_SEPARATORS = re.compile("::|#")


def network(config: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """The network that a configuration defines: its class's name, and its arguments as literals.

    Args:
        config: the configuration, from JSON.
        where: its file, for errors.

    Raises:
        InputError: if it defines none, or an argument is anything but a literal.
    """
    found = _Literals(config, where).of(config.get(NETWORK), NETWORK, 0)
    if not isinstance(found, dict) or not isinstance(found.get(TARGET), str):
        raise InputError(f"{where}: {NETWORK} has no {TARGET} that names a network")
    target = found.pop(TARGET)
    found.pop("_desc_", None)  # a comment
    return target, found


class _Literals:
    def __init__(self, config: Mapping[str, Any], where: str) -> None:
        self.config, self.where, self.left = config, where, _MAX_VALUES

    def of(self, value: object, key: str, depth: int, nested: bool = False) -> Any:
        """A value with its references followed; a nested one may not name a class to build."""
        self.left -= 1
        if self.left < 0 or depth > _MAX_DEPTH:
            raise InputError(f"{self.where}: {key} refers in circles, or to too much")
        if isinstance(value, dict):
            if TARGET in value and nested:
                raise InputError(
                    f"{self.where}: {key} is an object to build ({value[TARGET]!r:.60}), which "
                    "fmtool does not; write a plain value"
                )
            return {n: self.of(v, f"{key}.{n}", depth + 1, True) for n, v in value.items()}
        if isinstance(value, list):
            return [self.of(v, f"{key}.{n}", depth + 1, True) for n, v in enumerate(value)]
        if not isinstance(value, str):
            return value
        if value.startswith(("$", "%")):
            raise InputError(
                f"{self.where}: {key} is an expression ({value!r:.60}), which fmtool does not run; "
                "write its value there"
            )
        if value.startswith("@"):
            return self.of(self._at(value, key), value[1:], depth + 1, nested)
        return value

    def _at(self, reference: str, key: str) -> object:
        found: Any = self.config
        for part in _SEPARATORS.split(reference[1:]):
            try:
                found = found[int(part) if isinstance(found, list) else part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise InputError(
                    f"{self.where}: {key} refers to {reference!r:.60}, which is not there"
                ) from None
        return found
