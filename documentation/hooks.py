"""What mkdocs calls: pages and tables that are made from the code join what is written."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).resolve().parents[1]
if str(_ROOT) not in sys.path:
    sys.path.insert(0, str(_ROOT))

from documentation import made, messages, schema, verbs  # noqa: E402


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that the navigation does not name yet at the end of the how-tos."""
    named = str(config.nav)
    folder = Path(config.docs_dir)
    found = [p.name for p in sorted(folder.glob("*.md")) if f"'{p.name}'" not in named]
    if found:
        how_to = next(part["How-to"] for part in config.nav or () if "How-to" in part)
        how_to.append({"More": found})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages of the reference."""
    pages = {
        "reference/commands.md": verbs.page(),
        "reference/errors.md": messages.page(_ROOT),
        "reference/exit-codes.md": messages.exit_codes(),
        "reference/manifest.md": schema.page("manifest"),
        "reference/result.md": schema.page("result"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables that the code knows where a page names them."""
    return made.filled(markdown)
