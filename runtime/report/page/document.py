"""A whole page from its parts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from fmtool import NOTICE
from runtime.report.page.script import policy
from runtime.report.page.style import CSS


def document(
    title: str, parts: Iterable[str], script: str = "", rules: str = "", head: str = ""
) -> str:
    """A page whose first words are the notice.

    Args:
        title: text, of the window and of paper.
        parts: markup.
        script: run at the end.
        rules: the content security policy; that of the script alone where absent.
        head: markup for the page's head.
    """
    rules = rules or (policy(script) if script else policy())
    code = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)} · fmtool</title><style>{CSS}</style>{head}</head>"
        f'<body><p class="notice" role="note">{escape(NOTICE)}</p>'
        f"<main>{''.join(parts)}</main>{code}</body></html>\n"
    )


def embedded(kind: str, data: str) -> str:
    """The address of a file inside the page.

    Args:
        kind: "jpeg" or "png".
        data: base64.
    """
    return f"data:image/{kind};base64,{data}"
