"""The page itself, in a headless Chromium."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from devtools import CHROMIUM, Browser
from test_browser import TOKEN, served, trained

from agents.runs.browser.server import application
from agents.runs.browser.session import Session
from agents.runs.run import Run
from agents.runs.viewer import Viewer
from rlsuite.tracking.text import number_text
from rlsuite.tracking.watch_panel import Bars

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

PIXELS = """(() => {
  const image = document.getElementById("picture"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL();
})()"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("page"), seeds=2)


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    watched = application(run.folder, lambda send: Session(run, "last", None, None, send))
    with (
        served(watched) as port,
        closing(Browser(f"http://127.0.0.1:{port}/{TOKEN}/", tmp_path_factory.mktemp("chromium"))) as page,
    ):
        page.wait("document.body?.dataset.envStep > 0")
        yield page
        assert page.errors == []


def env_step(page: Browser) -> int:
    return int(page.value("document.body.dataset.envStep"))


def paused(page: Browser) -> int:
    """Pause the page if it plays; returns its env step."""
    if page.value("document.getElementById('play').textContent") == "Pause":
        page.press(" ")
    page.wait("document.getElementById('play').textContent == 'Play'")
    return env_step(page)


def restarted(page: Browser) -> None:
    """Begin another episode, and hold at its first env step."""
    paused(page)
    episode = page.value("document.body.dataset.episode")
    page.press("n")
    page.wait(f"document.body.dataset.episode != '{episode}'")
    assert env_step(page) == 0


def test_the_picture_changes_and_pause_holds_it(page: Browser) -> None:
    before = page.value(PIXELS)
    page.wait(f"{PIXELS} != '{before}'")
    at = paused(page)
    held = page.value(PIXELS)
    time.sleep(0.3)
    assert (env_step(page), page.value(PIXELS)) == (at, held)


def test_a_step_is_one(page: Browser) -> None:
    restarted(page)
    before = page.value(PIXELS)
    for count in range(1, 9):
        page.value("document.getElementById('step').click()")
        page.wait(f"document.body.dataset.envStep == {count}")
    page.wait(f"{PIXELS} != '{before}'")


def test_the_values_shown_are_those_of_the_agent(page: Browser, run: Run) -> None:
    restarted(page)
    page.value("document.getElementById('seed').value = 1; document.getElementById('seed').onchange()")
    page.wait("[...document.querySelectorAll('dd')].at(-1).textContent == '1'")
    at = paused(page)
    with closing(Viewer(run, "last", 1)) as viewer:
        for _ in range(at):
            viewer.advance()
        expected = viewer.frame()
    assert isinstance(expected.action, Bars)
    assert page.value("[...document.querySelectorAll('dd')].map((fact) => fact.textContent)") == list(
        expected.facts.values()
    )
    assert page.value("[...document.querySelectorAll('.action')].map((row) => +row.dataset.value)") == (
        expected.action.values.tolist()
    )
    shown = page.value("[...document.querySelectorAll('.action .number')].map((number) => number.textContent)")
    assert shown == [number_text(value) for value in expected.action.values]
    chosen = page.value("[...document.querySelectorAll('.action')].map((row) => row.classList.contains('chosen'))")
    assert chosen == [index == expected.action.chosen for index in range(2)]


def test_a_person_plays_by_the_keyboard(page: Browser) -> None:
    restarted(page)
    page.press("t")
    page.wait("document.body.classList.contains('takenOver')")
    for count, (key, index) in enumerate((("ArrowLeft", 0), ("ArrowRight", 1), ("0", 0)), start=1):
        page.press(key)
        page.wait(f"document.body.dataset.envStep == {count}")
        acted = page.value("[...document.querySelectorAll('.action')].map((row) => row.classList.contains('person'))")
        assert acted == [index == 0, index == 1]
    page.press("t")
    page.wait("!document.body.classList.contains('takenOver')")


def test_everything_that_can_be_done_has_a_name(page: Browser) -> None:
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "slider", "combobox", "image")
    controls = [node for node in tree if node.get("role", {}).get("value") in roles and not node["ignored"]]
    assert len(controls) >= 10
    assert all(node["name"]["value"] for node in controls)
    assert page.value("document.documentElement.scrollHeight <= innerHeight && document.body.scrollWidth <= innerWidth")
