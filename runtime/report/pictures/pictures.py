"""A report's pictures as files by name, so that any process can draw them and any can send them.

| name | what |
|---|---|
| brain/PLANE.jpg | the scan with the brain mask's outline |
| registration/PLANE.jpg | the registered brain with the template's contours |
| slices.json, slices/PLANE/{head.jpg,mask.png,template.png} | sheets to browse: `slices` |
| maps/TASK.json, maps/TASK/PLANE.jpg, maps/TASK/slices/PLANE.png | a map, see `heat` |

PLANE is "axial", "coronal" or "sagittal".
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import numpy as np
from PIL import Image

from runtime.attribution import Attribution
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.report.pictures import heat, slices
from runtime.report.pictures.picture import brain_planes, registration_planes

Files = dict[str, bytes]

_QUALITY = 85


def of_scan(prepared: Prepared, template: Template) -> Files:
    """All but the maps: what can be drawn before the network has run."""
    spacing = np.linalg.norm(prepared.affine[:3, :3], axis=0).tolist()
    files: Files = {}
    files |= _planes("brain", brain_planes(prepared.corrected, prepared.brain, spacing))
    registered = registration_planes(prepared.volume, prepared.mask, template.crop)
    files |= _planes("registration", registered)
    files["slices.json"] = json.dumps(slices.layout(template)).encode()
    for name, sheets in (
        ("head.jpg", slices.head(prepared, template)),
        ("mask.png", slices.outline(prepared, template)),
        ("template.png", slices.contours(template)),
    ):
        files |= {f"slices/{plane}/{name}": data for plane, data in sheets.items()}
    return files


def of_maps(maps: Mapping[str, Attribution], prepared: Prepared, template: Template) -> Files:
    """The maps: the volume and mask of `prepared` are needed, nothing of the scan's own space."""
    files: Files = {}
    for task, found in maps.items():
        said = heat.facts(found, prepared.mask)
        files[f"maps/{task}.json"] = json.dumps(said).encode()
        files |= _planes(f"maps/{task}", heat.planes(found, prepared, said))
        sheets = slices.colours(found, prepared, template, said["limit"])
        files |= {f"maps/{task}/slices/{plane}.png": data for plane, data in sheets.items()}
    return files


def _planes(name: str, images: Mapping[str, Image.Image]) -> Files:
    return {f"{name}/{plane}.jpg": _jpeg(image) for plane, image in images.items()}


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, subsampling=0)  # thin lines keep their colour
    return stream.getvalue()
