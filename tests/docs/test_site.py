"""The site: built strictly, complete, and nothing of it is loaded from elsewhere."""

from __future__ import annotations

import functools
import http.server
import re
import threading

import pytest

WIDTHS = (1280, 390)
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video|embed)\b[^>]*?\ssrc=["']?(https?:)?//"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*?\shref=["']?(https?:)?//"""
    r"""|(?:url\(|@import\s+)["']?(https?:)?//"""
)


def test_nothing_is_loaded_from_a_network(site) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]
    assert len(pages) > 40
    for page in pages:
        found = LOADED.search(page.read_text("utf-8"))
        assert found is None, f"{page}: {found and found[0]}"
        assert 'class="mermaid"' not in page.read_text("utf-8"), "mermaid's script is not local"


@pytest.mark.parametrize(
    "sample",
    [
        '<script src="https://x/y.js">',
        "<script defer src='//x/y.js'>",
        '<link rel="stylesheet" href="https://x/y.css">',
        "a{background:url(https://x/y.png)}",
        '@import "https://x/y.css"',
    ],
)
def test_what_would_be_loaded_is_seen(sample) -> None:
    assert LOADED.search(sample)


@pytest.mark.parametrize("sample", ['<a href="https://x">', '<script src="../y.js">', "url(#a)"])
def test_links_and_own_files_are_let_be(sample) -> None:
    assert not LOADED.search(sample)


def test_the_generated_pages_are_there(site) -> None:
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert "fmtool train probe" in commands
    assert "--identifiers" in commands
    python = (site / "reference" / "python.html").read_text("utf-8")
    for name in ("runtime.scan.read", "runtime.predict.Predictor", "fmtool.bundle.open"):
        assert f'id="{name}"' in python
    assert "is not a NIfTI file" in (site / "reference" / "errors.html").read_text("utf-8")


@pytest.fixture(scope="module")
def served(site):
    """The site's address on a port of this machine."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_open_quietly_and_fit(browser, site, served, width) -> None:
    for page in sorted(site.rglob("*.html")):
        address = f"{served}/{page.relative_to(site)}"
        browser.open(address, width)
        assert browser.complaints() == [], page
        assert [a for a in browser.requests() if not a.startswith(served)] == []
        assert browser.run("document.documentElement.scrollWidth") <= width, page
        # What is wider than its place must scroll in it, or be seen whole.
        cut = (
            "[...document.querySelectorAll('article p, article li, article h1, article h2, article"
            " h3, article img')].filter(e => e.offsetWidth && !e.closest('.md-typeset__scrollwrap')"
            " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
        )
        assert browser.run(cut) == [], page


def test_the_search_finds_an_error_message(browser, served) -> None:
    browser.open(f"{served}/index.html")
    browser.run("document.querySelector('[data-md-component=search-query]').focus()")
    browser.run(
        "(() => {const q = document.querySelector('[data-md-component=search-query]');"
        "q.value = 'quarantine'; q.dispatchEvent(new Event('keyup', {bubbles: true}))})()"
    )
    count = "document.querySelectorAll('.md-search-result__item').length"
    ask = f"new Promise(d => {{let n = 0; const t = setInterval(() => {{if ({count} || n++ > 80)"
    ask += f" {{clearInterval(t); d({count})}}}}, 100)}})"
    answer = browser.call("Runtime.evaluate", expression=ask, returnByValue=True, awaitPromise=True)
    assert answer["result"]["value"] > 0
    assert browser.complaints() == []
    assert [a for a in browser.requests() if not a.startswith(served)] == []
