"""The manual as PDF: pages of text in a font that every viewer has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fmtool import NOTICE, __version__
from runtime.service.mrd.parameters import SWITCHES

_WIDTH, _HEIGHT, _MARGIN, _SIZE, _LEADING = 595, 842, 64, 11, 15  # A4, in points
_CHARACTERS = 84
_LINES = (_HEIGHT - 2 * _MARGIN) // _LEADING


def text(bundle: str, digest: str, tasks: Sequence[str], limits: Sequence[str]) -> str:
    """What whoever runs the scan must know, in paragraphs."""
    switches = "\n\n".join(
        f"{switch.label} ({switch.id}, {'on' if switch.default else 'off'} unless it is changed): "
        f"{switch.information}"
        for switch in SWITCHES
    )
    known = " ".join(limits)
    return f"""fmtool {__version__}, with the bundle {bundle}

{NOTICE}

It takes the images of one 3D T1-weighted head and answers: {", ".join(tasks)}. {known}

The images that came go back first, unchanged. The answers follow as a series of their own, and as
comments of its images. What is no T1-weighted head, or not whole, goes back alone, with one line in
the log that says why. If there is no answer within 60 s, the same.

Parameters

{switches}

After another version was installed, select the algorithm anew in saved protocols: they keep the old
parameters. The model leaves the container for nowhere, and so does every image.

Bundle {bundle}, SHA-256 {digest}
"""


def pdf(said: str) -> bytes:
    """Paragraphs as a PDF of A4 pages."""
    lines = [
        line
        for paragraph in said.strip().split("\n\n")
        for line in [*textwrap.wrap(" ".join(paragraph.split()), _CHARACTERS), ""]
    ]
    pages = [lines[n : n + _LINES] for n in range(0, len(lines), _LINES)]
    first = 4  # objects: catalogue, pages, font, then a page and its text in turn
    kids = " ".join(f"{first + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for n, page in enumerate(pages):
        shown = "\n".join(f"({_escaped(line)}) '" for line in page)
        stream = f"BT /F1 {_SIZE} Tf {_LEADING} TL {_MARGIN} {_HEIGHT - _MARGIN} Td\n{shown}\nET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH} {_HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {first + 2 * n + 1} 0 R >>"
        )
        length = len(stream.encode("cp1252", "replace"))
        objects.append(f"<< /Length {length} >>\nstream\n{stream}\nendstream")
    made = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252", "replace")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = (
        f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n"
        f"<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    )
    return bytes(made) + end.encode()


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
