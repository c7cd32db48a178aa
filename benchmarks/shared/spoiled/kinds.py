"""Every kind of bad scan that is made, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.shared.spoiled import contrast, field, image, strip
from benchmarks.shared.spoiled.contrast import Mask, Random, Volume
from runtime.scan import Scan

Spoil = Callable[[Scan, Mask, Random], Scan]
Redraw = Callable[[Mask, np.ndarray, Random], Mask]


def _remapped(change: Callable[[Volume, Mask, Random], Volume]) -> Spoil:
    def spoil(scan: Scan, brain: Mask, random: Random) -> Scan:
        stripped = scan.array == 0
        array = change(scan.array, brain, random).astype(np.float32)
        array[stripped] = array.min()
        return replace(scan, array=array)

    return spoil


def _newborn(scan: Scan, brain: Mask, random: Random) -> Scan:
    return field.small(_remapped(contrast.newborn)(scan, brain, random), brain, random)


SCANS: dict[str, Spoil] = {
    "T2-weighted": _remapped(contrast.t2),
    "FLAIR": _remapped(contrast.flair),
    "proton density": _remapped(contrast.proton),
    "CT": _remapped(contrast.ct),
    "EPI": _remapped(contrast.epi),
    "newborn": _newborn,
    "cut field of view": field.cut,
    "cut, zeros beyond": field.blanked,
    "upside down": field.upside_down,
    "wrong axes": field.wrong_axes,
    "wrong unit": field.wrong_unit,
    "noise": image.noisy,
    "motion": image.moved,
    "6 mm slices": image.thick,
    "6 mm slices, interpolated": image.hidden_thick,
    "blur": image.blurred,
    "clipped": image.clipped,
    "hot spot and void": image.spiked,
}
"""Changes of the scan, before anything is prepared."""

MASKS: dict[str, Redraw] = {
    "strip left skull": strip.skull_left,
    "strip took cortex": strip.eaten,
    "strip took a lobe": strip.lobe_gone,
    "strip took a hemisphere": strip.side_gone,
}
"""Changes of the brain mask that the strip found."""
