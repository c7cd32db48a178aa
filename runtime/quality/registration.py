"""Does the brain lie on the template?"""

from __future__ import annotations

import math

from runtime.quality.check import Check, Kind, Range

KIND = Kind(
    name="Registration",
    key="similarity",
    unit="correlation",
    normal=(0.28, 0.77),
    accepted=(0.24, 1.0),
    digits=2,
    fine="The brain lies on the template as expected.",
    low="The registration to the template is unusual (similarity {}): check the orientation and "
    "that this is a whole T1-weighted head.",
    high="The brain is too much like the template (similarity {}): this looks like a template or "
    "an average, no single person.",
    ratio=False,
)
"""Correlation with the template where both have brain: adults' T1-weighted heads lie from 0.36 to
0.69. `register.rigid` gives up below 0.24 itself; the template reaches 1."""


def check(value: float, problem: str, normal: Range | None = None) -> Check:
    """Whether it does.

    Args:
        value: `Rigid.similarity`.
        problem: `Rigid.reason`: why the registration cannot be trusted; empty if it can.
        normal: the bundle's own range.
    """
    if not problem and math.isfinite(value):
        return KIND.judge(value, normal)
    said = (
        f"The registration to the template failed ({problem or 'no similarity'}): check the "
        "orientation and that this is a whole T1-weighted head."
    )
    return Check(KIND.name, value, KIND.unit, normal or KIND.normal, "refuse", said)
