"""Names in a BIDS data set: a file's entities, and what is made of it called by them.

Source: the Brain Imaging Data Structure 1.10, its entities and their order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

SPACE = "MNI152NLin2009cSym"
RESOLUTION = "res-1"

_BEFORE_SPACE = (
    "sub", "ses", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc", "stain", "rec",
    "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi",
)  # fmt: skip
_AFTER_SPACE = ("split", "recording", "chunk", "seg")
_LONG = {
    "subject": "sub", "session": "ses", "acquisition": "acq", "ceagent": "ce", "tracer": "trc",
    "reconstruction": "rec", "direction": "dir", "modality": "mod", "inversion": "inv",
    "mtransfer": "mt", "processing": "proc", "hemisphere": "hemi",
}  # fmt: skip


@dataclass(frozen=True)
class HeadName:
    """The name of a T1-weighted image in a data set.

    Attributes:
        path: relative to the data set, with "/".
        entities: by their short keys, without those that say which space it lies in.
        suffix: "T1w" or "UNIT1".
        extension: such as ".nii.gz".
    """

    path: str
    entities: dict[str, str]
    suffix: str
    extension: str

    @classmethod
    def of(cls, path: PurePath) -> HeadName:
        """The name's parts.

        Args:
            path: relative to the data set.
        """
        stem, dot, extension = path.name.partition(".")
        *pairs, suffix = stem.split("_")
        entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
        kept = {key: value for key, value in entities.items() if key not in ("space", "desc")}
        return cls(path.as_posix(), kept, suffix, dot + extension)

    def value(self, key: str) -> str | None:
        """What an entity, by its short or its long key, or "suffix", "extension", "datatype" is.

        Raises:
            KeyError: if there is no such key in BIDS.
        """
        told = {"suffix": self.suffix, "extension": self.extension, "datatype": "anat"}
        if key in told:
            return told[key]
        short = _LONG.get(key, key)
        if short not in (*_BEFORE_SPACE, *_AFTER_SPACE):
            raise KeyError(key)
        return self.entities.get(short)

    @property
    def subject(self) -> str:
        """Such as "sub-01"."""
        return self.path.split("/", 1)[0]

    def made(self, folder: str, end: str, *, on_grid: bool = False) -> str:
        """The path of what is made of it, relative to the derivatives.

        Args:
            folder: "anat" or "figures".
            end: what follows the entities, such as "desc-brain_mask.nii.gz".
            on_grid: whether it lies on the template's grid.
        """
        session = self.entities.get("ses")
        place = [self.subject, *([f"ses-{session}"] if session else []), folder]
        middle = [f"space-{SPACE}"] if on_grid else []
        after = [RESOLUTION] if on_grid else []
        words = [*self._pairs(_BEFORE_SPACE), *middle, *self._pairs(_AFTER_SPACE), *after, end]
        return "/".join([*place, "_".join(words)])

    def described(self, what: str) -> str:
        """The description "desc-WHAT", with the suffix in it unless that is T1w.

        A T1w and a UNIT1 image of one session differ in nothing else.
        """
        return f"desc-{what}{'' if self.suffix == 'T1w' else self.suffix}"

    def _pairs(self, keys: tuple[str, ...]) -> list[str]:
        return [f"{key}-{self.entities[key]}" for key in keys if key in self.entities]


def label(text: str, entity: str) -> str | None:
    """ "01" of "01" or "sub-01"; None for what is no label."""
    found = text.removeprefix(f"{entity}-")
    return found if re.fullmatch(r"[A-Za-z0-9+]+", found) else None
