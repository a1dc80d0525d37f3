"""The documentation: its links, its examples, its notebook and its site."""

import importlib.util
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest

from agents import train

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def rewritten() -> Any:
    """The site's own treatment of links that leave ``docs/``, which refuses those that lead nowhere."""
    hook = runpy.run_path(str(DOCS / "hooks.py"))["on_page_markdown"]

    def of(page: str, markdown: str) -> str:
        return str(hook(markdown, SimpleNamespace(file=SimpleNamespace(src_uri=page)), None, None))

    return of


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str, rewritten: Any) -> None:
    markdown = rewritten(page, (DOCS / page).read_text())
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", markdown):
        if not target.startswith(("http:", "https:")):
            found = (DOCS / page).parent / target
            assert found.exists() and found.resolve().is_relative_to(DOCS), target


def test_links_to_files_of_the_repository_are_named_and_looked_for(rewritten: Any) -> None:
    assert rewritten("a.md", "see [core.py](../envs/core.py#x), [it](../envs)") == "see `envs/core.py`, it (`envs`)"
    assert rewritten("tutorials/a.md", "[up](../b.md) [x](../../envs)") == "[up](../b.md) x (`envs`)"
    with pytest.raises(ValueError, match=r"a\.md links to envs/none\.py"):
        rewritten("a.md", "[none](../envs/none.py)")


def test_every_page_is_in_the_contents() -> None:
    contents = re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(contents) == PAGES, "name each page in the nav of mkdocs.yml"


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_scripts_that_are_there(page: str) -> None:
    for script in re.findall(r"python (scripts/\S+\.py)", (DOCS / page).read_text()):
        assert (ROOT / script).exists() or script == "scripts/NAME.py", script


def test_the_examples_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("my_env.py", "my_agent.py"):
        shutil.copy(DOCS / "examples" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    small = {
        "total_env_steps": 160,
        "learning_starts_env_steps": 60,
        "hidden": (16,),
        "final_episodes": 1,
        "threads": 1,
    }
    run = train("my_agent.py", env="my_env:Lift-v0", seeds=2, video=False, wandb="disabled", **small)
    try:
        assert run.finished and run.metrics()["loss"].values.shape[0] == 2
        assert run.act([3, 5]) in (0, 1, 2)
    finally:
        del gymnasium.registry["Lift-v0"]
        del sys.modules["my_env"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path: Path) -> None:
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    client.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.slow  # CI builds it too
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="the extra docs is not installed")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Q-learning with a network" in (tmp_path / "site" / "tutorials" / "own-agent.html").read_text()
