"""What a site does with a bundle of its own scans: calibrate a head, fit one; no torch here."""

from __future__ import annotations

from importlib.util import find_spec

from fmtool.errors import CapabilityError


def needs_scikit_learn() -> None:
    """Whether the modules of this room can be imported here.

    Raises:
        CapabilityError: if not, with the way.
    """
    if find_spec("sklearn") is None:
        raise CapabilityError(
            "a site's own calibration and heads need scikit-learn; install it with `pip install "
            "'fmtool[site]'`"
        )
