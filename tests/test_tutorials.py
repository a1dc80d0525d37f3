"""Snippets of the documentation: a marker that a formatter broke would be shown as text instead of the file."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
MARKER = re.compile(r'^\s*--8<-- "(?P<file>[^"]+)"$', re.MULTILINE)
ANY_MARKER = re.compile(r"-+\s*8\s*<\s*-+")  # with blanks in any place


@pytest.mark.parametrize("page", PAGES)
def test_snippets_are_whole_and_name_a_file(page: str) -> None:
    markdown = (DOCS / page).read_text()
    named = MARKER.findall(markdown)
    assert len(named) == len(ANY_MARKER.findall(markdown)), 'a marker must read --8<-- "docs/examples/NAME.py"'
    for file in named:
        assert (ROOT / file).is_file() and (ROOT / file).stat().st_size > 0, file


@pytest.mark.parametrize("page", ["tutorials/own-agent.md", "tutorials/own-environment.md"])
def test_tutorials_show_their_example(page: str) -> None:
    assert len(MARKER.findall((DOCS / page).read_text())) == 1
