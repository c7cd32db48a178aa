"""Which part of the body a series shows, by its names first and its header's own field second."""

from __future__ import annotations

import re

from runtime.scan.dicom.about import About

_HEAD = re.compile(
    r"head|brain|skull|cran|cerebr|neuro|enc[eé]ph|encef|hirn|kopf|sch[aä]e?del|testa|t[eê]te|cabe"
)
_ELSEWHERE = re.compile(
    r"spine|spinal|(?<![a-z])(?:[clt] ?spine?|hip|leg|hand|foot|neck|calf|hals|knie)(?![a-z])|"
    r"lumb|cervic|thora|sacr|chest|abdom|pelvi|becken|knee|shoulder|elbow|wrist|ankle|finger|toe(?![a-z])|"
    r"femur|humerus|thigh|forearm|extremity|breast|mamma|heart|cardiac|liver|kidney|renal|prostat|"
    r"uterus|wirbel|whole ?body|carotid"
)


def elsewhere(about: About) -> bool:
    """Whether another part than the head is named, and the head is not."""
    for said in (
        *(name.replace("_", " ").replace("-", " ") for name in about.names[:2]),
        about.body,
    ):
        if _HEAD.search(said):
            return False
        if _ELSEWHERE.search(said):
            return True
    return False
