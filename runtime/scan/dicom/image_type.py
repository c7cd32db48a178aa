"""What an image's type says that it is, however the vendor spells it (part 3, C.7.6.1.1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAGNITUDE = frozenset({"M", "MAG", "MAGNITUDE"})
UNIFORM = frozenset({"UNI", "UNIFORM", "UNI DEN", "UNIDEN", "UNIT1", "UNI IMAGES"})
DENOISED = frozenset({"UNI DEN", "UNIDEN", "DEN", "DENOISED"})
COMBINED = frozenset({"RMS", "MEAN", "ADDITION", "COMBINED"})
"""Several echoes or repetitions in one."""

_CALLED = {
    "a localizer": "LOCALIZER, SCOUT, SURVEY",
    "a projection": "MIP, MAX IP, MAXIP, MAXIMUM, MIN IP, MINIP, MINIMUM, PROJECTION IMAGE, "
    "MAXIMUM INTENSITY PROJECTION, MINIMUM INTENSITY PROJECTION",
    "a reformat": "CSA MPR THICK, MPR THICK",
    "a mosaic": "MOSAIC",
    "a phase map": "P, PHASE, PHASE MAP, PHASE IMAGE, VELOCITY, VELOCITY MAP, FLOW ENCODED",
    "the real part of an image": "R, REAL, CR",
    "the imaginary part of an image": "I, IMAGINARY",
    "an inversion image of an MP2RAGE": "INV1, INV2, INV 1, INV 2",
    "a map of T1": "T1 MAP, T1MAP, R1, R1 MAP, T1 IMAGES, QT1",
    "a diffusion map": "ADC, EADC, FA, DIFFUSION, DIFFUSION ANISO, TRACEW, TENSOR",
    "a map": "B0, B1, RHO, CBF, CBV, RCBF, RCBV, MTT, TTP, T TEST, Z SCORE, STD DEVIATION, "
    "FAT FRACTION, FF, FLIP ANGLE, TEMPERATURE",
    "a subtraction": "SUB, SUBTRACT, SUBTRACTION",
    "an opposed-phase image": "OP, OPP PHASE, OPPOSED PHASE, OUT PHASE, OUT OF PHASE",
    "an image of fat": "F, FAT",
    "of another contrast": "T2, T2 STAR, R2, R2 STAR, PD, PROTON DENSITY, STIR, FLUID ATTENUATED, "
    "PERFUSION, ASL, TOF, ANGIO, ANGIO TIME, CINE, FMRI, MOTION, TAGGING, SWI",
}
_KINDS = {word: name for name, words in _CALLED.items() for word in words.split(", ")}
_OF_A_SEQUENCE = re.compile(r"^(CR|[MPRI]) (?:FFE|IR|SE|PCA|TFE)$")  # Philips: M_FFE


def plain(word: str) -> str:
    """A word in capitals, its parts parted by spaces: "T1_MAP" as "T1 MAP", "P_FFE" as "P"."""
    spaced = " ".join(re.split(r"[\s_-]+", word.upper().strip()))
    return _OF_A_SEQUENCE.sub(r"\1", spaced)


def kind(words: Iterable[str]) -> str | None:
    """What plain words name that is no T1-weighted head: "a phase map"; None if they do not."""
    for word in words:
        if word in _KINDS:
            return _KINDS[word]
        if word.endswith("MAP"):
            return "a map"
    return None
