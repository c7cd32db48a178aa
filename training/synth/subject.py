"""The hidden factors of a synthetic subject: what age and sex do to a head, and what chance does.

    ventricle expansion = -1.2 + 5.2 a + N(0, 0.45) mm         a = (age - 20) / 60, uniform
    cortical thinning   =  0.1 + 0.8 a + N(0, 0.12) mm
    head size (linear)  =  1 -+ 0.034 + N(0, 0.022)            - female, + male

Each follows its factor with overlap, so that no measurement gives the factor away entirely.
The effects have the sign and rough size of those known in adults; they are not a model of ageing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

AGES = (20.0, 80.0)

_SIZE_SEX, _SIZE_SD = 0.034, 0.022
_ASPECT_SD = 0.012
_WARP_MM = 1.6


@dataclass(frozen=True)
class Subject:
    """One synthetic person.

    Attributes:
        name: such as "sub-syn0001".
        age: years, what the ventricles and the cortex follow.
        sex: "F" or "M", what the head's size follows.
        expansion_mm: how far the ventricles' walls have moved outward.
        thinning_mm: what has gone from the surface of the cortex.
        size: of the head, 1 on average; a length.
        aspect: (3,) factors of left-right, front-back and up-down, by chance.
        warp_mm: standard deviation of the head's own smooth deformation.
        warp_seed: of that deformation.
    """

    name: str
    age: float
    sex: str
    expansion_mm: float
    thinning_mm: float
    size: float
    aspect: NDArray[np.float64]
    warp_mm: float
    warp_seed: int


def draw(seed: int, number: int) -> Subject:
    """Subject `number`, from 1: the same in every cohort of that seed, whatever its size.

    The sexes are balanced: of subjects 1 and 2, 3 and 4, and so on, one is female.
    """
    pair = generator(seed, 0, (number + 1) // 2)
    male = bool(pair.random() < 0.5) == (number % 2 == 1)
    rng = generator(seed, 1, number)
    age = round(float(rng.uniform(*AGES)), 1)
    ageing = (age - AGES[0]) / (AGES[1] - AGES[0])
    return Subject(
        name=f"sub-syn{number:04d}",
        age=age,
        sex="M" if male else "F",
        expansion_mm=-1.2 + 5.2 * ageing + 0.45 * rng.standard_normal(),
        thinning_mm=max(0.0, 0.1 + 0.8 * ageing + 0.12 * rng.standard_normal()),
        size=1.0 + (_SIZE_SEX if male else -_SIZE_SEX) + _SIZE_SD * rng.standard_normal(),
        aspect=1.0 + _ASPECT_SD * rng.standard_normal(3),
        warp_mm=_WARP_MM,
        warp_seed=int(rng.integers(2**32)),
    )


def generator(*key: int) -> Generator:
    """Randomness that follows from the numbers of `key` alone."""
    return np.random.default_rng(np.random.SeedSequence(key))
