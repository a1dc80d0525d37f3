"""For the documentation site: links from its pages to files of the repository, which are not pages of it."""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name the files outside ``docs/``, where a checkout has them.

    Raises:
        ValueError: there is no such file.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def named(link: re.Match[str]) -> str:
        label, target, _ = link.groups()
        place = posixpath.normpath(posixpath.join("docs", folder, target))
        if place.startswith("docs/"):
            return link[0]
        if not (ROOT / place).exists():
            raise ValueError(f"{page.file.src_uri} links to {place}, which is not there")
        return f"`{place}`" if place.endswith(label.strip("`")) else f"{label} (`{place}`)"

    return _LINK.sub(named, markdown)
