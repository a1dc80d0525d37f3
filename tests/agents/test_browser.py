"""The page in the browser: what its session says and obeys, and who is let in."""

import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from agents.runs.browser.curve import LearningCurve  # noqa: E402
from agents.runs.browser.messages import parts, text  # noqa: E402
from agents.runs.browser.server import application  # noqa: E402
from agents.runs.browser.session import FigureSession, Session  # noqa: E402
from agents.runs.registry import config_class  # noqa: E402
from agents.runs.run import Run, build_agent, create, environments  # noqa: E402
from agents.runs.viewer import Viewer  # noqa: E402
from rlsuite.tracking.loopback import Guarded, listen  # noqa: E402
from rlsuite.tracking.watch_panel import Bars  # noqa: E402
from rlsuite.training.checkpoint import save  # noqa: E402

TOKEN = "a-token"
SECONDS = 30.0  # for an answer: machines are slow at times


def trained(folder: Path, agent: str = "dqn", env: str = "CartPole-v1", **options: Any) -> Run:
    """A run as training leaves it, with the agent as it was initialised."""
    options = {"device": "cpu", "hidden": (16,), "name": "run", "runs": str(folder)} | options
    run = create(agent, config_class(agent)(env=env, **options))
    keep(run, "last")
    return run


def keep(run: Run, name: str, changed: Callable[[torch.Tensor], torch.Tensor] | None = None) -> None:
    """Save the agent of a run as it was initialised, with changed parameters where they are asked for."""
    probe = environments(run, "evaluate", 1)
    state = build_agent(run, probe.observation_space, probe.action_space).state_dict()
    probe.close()
    if changed is not None:
        state["online"] = changed(state["online"])
    save(run.checkpoints.folder / name, {"learner": state})


class Page:
    """One end of a session, as the page has it."""

    def __init__(self, session: Callable[[Callable[[str | bytes], None]], Session | FigureSession]) -> None:
        self.received: queue.SimpleQueue[str | bytes] = queue.SimpleQueue()
        self.session = session(self.received.put)
        self._thread = threading.Thread(target=self.session.show)
        self._thread.start()

    def close(self) -> None:
        self.session.commands.put(None)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def tell(self, do: str, **how: Any) -> None:
        self.session.commands.put({"do": do, **how})

    def next(self, kind: str, seconds: float = SECONDS) -> dict[str, Any]:
        """The next message of a kind; others before it are passed over."""
        end = time.monotonic() + seconds
        while True:
            data = self.received.get(timeout=max(0.0, end - time.monotonic()))
            message: dict[str, Any] = json.loads(data) if isinstance(data, str) else parts(data)[0]
            if message["kind"] == kind:
                return message

    def pause(self) -> dict[str, Any]:
        """Pause; returns the frame that stays."""
        self.tell("pause")
        while (frame := self.next("frame"))["playing"]:
            pass
        return frame

    def step(self, **how: Any) -> dict[str, Any]:
        self.tell("step", **how)
        return self.next("frame")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("browser"), seeds=2)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.runs.browser.session._NEWS_SECONDS", 0.05)
    monkeypatch.setattr("agents.runs.browser.session._RETRY_SECONDS", 0.1)


@contextmanager
def watched(run: Run, checkpoint: str = "last", seed: int | None = None) -> Iterator[Page]:
    with closing(Page(lambda send: Session(run, checkpoint, seed, None, send))) as page:
        yield page


def test_a_page_shows_what_the_viewer_shows(run: Run) -> None:
    with watched(run) as page, closing(Viewer(run, "last")) as viewer:
        assert page.next("run")["actions"]["names"] == ["push left", "push right"]
        values: list[float] = []
        for expected in viewer.frames(None):
            shown = page.next("frame")
            assert isinstance(expected.action, Bars)
            assert shown["facts"] == expected.facts and shown["note"] == expected.note
            assert shown["action"]["values"] == expected.action.values.tolist()
            assert shown["action"]["chosen"] == expected.action.chosen
            values += shown["values"]
            assert values == list(expected.values)
            if expected.note:
                break
        assert len(values) > 5


def test_pause_holds_and_a_step_is_one(run: Run) -> None:
    with watched(run) as page:
        before = page.pause()
        with pytest.raises(queue.Empty):
            page.next("frame", seconds=0.3)
        for count in (1, 2, 3):
            assert page.step()["envStep"] == before["envStep"] + count
        page.tell("play")
        assert page.next("frame")["playing"]
        assert page.next("frame")["envStep"] > before["envStep"] + 3


def test_speed_takes_env_steps_together(run: Run) -> None:
    with watched(run) as page:
        page.pause()
        page.tell("speed", value=1e9)
        assert page.next("frame")["speed"] == 16
        page.tell("episode")
        began = page.next("frame")
        page.tell("play")
        moved = [page.next("frame"), page.next("frame")]
        assert began["envStep"] == 0 and (moved[-1]["envStep"] >= 16 or moved[-1]["note"])


def test_another_episode_is_another(run: Run) -> None:
    with watched(run) as page:
        first = page.pause()
        page.tell("episode")
        second = page.next("frame")
        assert (second["episode"], second["envStep"]) == (first["episode"] + 1, 0)
        assert second["action"]["values"] != first["action"]["values"]


def test_a_person_plays_beside_what_the_agent_would_do(run: Run) -> None:
    with watched(run) as page:
        page.pause()
        page.tell("episode")
        page.tell("take over", action=[0])
        while not (frame := page.next("frame"))["takenOver"]:
            pass
        returned = float(frame["facts"]["return"])
        for action in (1, 1, 0):
            frame = page.step(action=[action])
            assert frame["personActed"] == [action]
            assert frame["action"]["chosen"] == int(np.argmax(frame["action"]["values"]))
        assert float(frame["facts"]["return"]) == returned + 3
        page.tell("take over", action=None)
        assert not page.next("frame")["takenOver"]
        assert page.step()["personActed"] is None


def test_a_person_steers_within_the_bounds(tmp_path: Path) -> None:
    with watched(trained(tmp_path, "ddpg", "Pendulum-v1")) as page:
        actions = page.next("run")["actions"]
        assert (actions["low"], actions["high"], actions["isChoice"]) == ([-2], [2], False)
        began = page.pause()["envStep"]
        assert page.step(action=[1.5])["personActed"] == [1.5]
        assert page.step(action=[99.0])["envStep"] == began + 2


def test_random_and_softened_actions(run: Run) -> None:
    with watched(run) as page:
        page.pause()
        own = [page.step() for _ in range(5)]
        assert all(frame["action"]["chosen"] == np.argmax(frame["action"]["values"]) for frame in own)
        for what, value in (("epsilon", 1.0), ("temperature", 1e6)):
            page.tell(what, value=value)
            page.tell("episode")
            frames = [page.next("frame"), *(page.step() for _ in range(30))]
            other = [frame["action"]["chosen"] != np.argmax(frame["action"]["values"]) for frame in frames]
            assert 5 < sum(other) < 26, what
            page.tell(what, value=0)


def test_another_seed_and_checkpoint_are_chosen(run: Run) -> None:
    with watched(run) as page:
        assert page.next("run")["seeds"] == [0, 1]
        page.tell("watch", checkpoint="last", seed=1)
        assert page.next("run")["seed"] == 1
        with closing(Viewer(run, "last", 1)) as viewer:
            expected = viewer.frame()
        shown = page.next("frame")
        assert shown["facts"] == expected.facts
        assert shown["action"]["values"] == expected.action.values.tolist()
        page.tell("watch", checkpoint="last", seed=7)
        assert "has no seed 7" in page.next("problem")["text"]
        page.tell("watch", checkpoint="last", seed=0)
        assert page.next("run")["seed"] == 0


@pytest.mark.parametrize(
    "command",
    [
        {"do": "fly"},
        {"do": "speed", "value": "fast"},
        {"do": "step", "action": [1, 2, 3]},
        {"do": "step", "action": "left"},
        {"do": "watch", "checkpoint": "../../last", "seed": 0},
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(run: Run, command: dict[str, Any]) -> None:
    with watched(run) as page:
        before = page.pause()
        page.session.commands.put(command)
        assert page.next("problem")["text"]
        assert page.step()["envStep"] == before["envStep"] + 1


def test_the_newest_agent_of_a_training_run_is_picked_up(tmp_path: Path) -> None:
    run = trained(tmp_path)
    (run.checkpoints.folder / "last").unlink()
    with watched(run, "newest") as page:
        assert "last" in page.next("problem")["text"]  # nothing is saved yet
        keep(run, "last")
        assert page.next("run")["checkpoint"] == "newest"
        first = page.pause()
        keep(run, "last", changed=lambda parameters: 0 * parameters)
        assert any(page.step()["action"]["values"])  # the episode goes on with the agent that began it
        page.tell("episode")
        assert page.next("frame")["action"]["values"] == [0, 0] != first["action"]["values"]


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    run = trained(tmp_path)
    keep(run, "last", changed=lambda parameters: parameters * torch.nan)
    with watched(run) as page:
        frame = page.next("frame")
        assert frame["action"]["values"] == [None, None] and frame["values"] == [None]
    assert json.loads(text({"numbers": [np.float32(np.inf), 1.5], "count": np.int64(3)})) == {
        "numbers": [None, 1.5],
        "count": 3,
    }


def test_the_learning_curve_grows_with_the_run(tmp_path: Path) -> None:
    run = trained(tmp_path)
    metrics = run.folder / "metrics.jsonl"

    def log(*points: tuple[int, float]) -> None:
        lines = [
            {"env_steps": at, "updates": at, "wall_seconds": at, "evaluation/score": score} for at, score in points
        ]
        with metrics.open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))

    log((100, 1.0), (200, 3.0))
    with watched(run) as page:
        curve = page.next("curve")
        assert (curve["at"][:2], curve["middle"][:2], curve["unit"]) == ([100, 200], [1.0, 3.0], "env steps")
        log((300, 5.0))
        assert page.next("curve")["middle"][-1] == 5.0
        metrics.write_text("")  # the run went back to a checkpoint
        log((100, 2.0))
        assert page.next("curve")["middle"] == [2.0, 2.0]


def test_where_there_is_no_score_the_curve_is_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        {"env_steps": 0, "updates": at, "wall_seconds": at, "gradient/norm": 5.0, "loss/euler": [0.1**at] * 2}
        for at in (1, 2)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    curve = LearningCurve(path).news()
    assert curve is not None and (curve["title"], curve["isLoss"], curve["unit"]) == ("loss/euler", True, "updates")
    assert curve["seeds"] == 2 and curve["middle"][:2] == pytest.approx([0.1, 0.01])


# --- the server ---


@contextmanager
def served(application: Any) -> Iterator[int]:
    """The port at which an application is served behind its token."""
    listening = listen(0)
    server = uvicorn.Server(uvicorn.Config(Guarded(application, TOKEN), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(SECONDS)


def got(port: int, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


@pytest.fixture(scope="module")
def port(run: Run) -> Iterator[int]:
    with served(application(run.folder, lambda send: Session(run, "last", None, None, send))) as port:
        yield port


def test_the_page_and_its_parts_are_served(port: int) -> None:
    for path, beginning in (
        ("", b"<!DOCTYPE html>"),
        ("viewer.js", b"//"),
        ("viewer.css", b"/*"),
        ("icon.svg", b"<svg"),
    ):
        status, body, headers = got(port, f"/{TOKEN}/{path}")
        assert status == 200 and body.startswith(beginning)
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/wrong/", {}),
        (f"/{TOKEN}", {}),
        (f"/{TOKEN}x/", {}),
        ("/%FF/", {}),
        (f"/{TOKEN}/", {"Host": "example.org"}),
        (f"/{TOKEN}/", {"Host": "127.0.0.1.example.org"}),
        (f"/{TOKEN}/", {"Host": "[x"}),
        (f"/{TOKEN}/", {"Origin": "http://example.org"}),
        (f"/{TOKEN}/", {"Origin": "null"}),
        (f"/{TOKEN}/", {"Origin": "http://127.0.0.1:1"}),
    ],
)
def test_others_are_refused(port: int, path: str, headers: dict[str, str]) -> None:
    assert got(port, path, **headers)[0] == 403


def test_a_forwarded_port_is_let_in(port: int) -> None:
    assert got(port, f"/{TOKEN}/", Host="localhost:9000", Origin="http://localhost:9000")[0] == 200


@pytest.mark.parametrize(("token", "origin"), [(TOKEN, "http://example.org"), ("wrong", None)])
def test_others_get_no_socket(port: int, token: str, origin: Any) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}/{token}/live", origin=origin)


def test_several_pages_do_not_disturb_each_other(port: int) -> None:
    address = f"ws://127.0.0.1:{port}/{TOKEN}/live"

    def frame(page: Any) -> dict[str, Any]:
        while isinstance(data := page.recv(timeout=SECONDS), str):
            pass
        head, picture = parts(data)
        assert picture[:3] == b"\xff\xd8\xff"  # JPEG
        return head

    with connect(address) as one, connect(address) as other:
        assert frame(one)["envStep"] == frame(other)["envStep"] == 0
        for nonsense in ("{", "[]", '{"do": "speed", "value": NaN}', b"\x00"):
            one.send(nonsense)
        one.send('{"do": "pause"}')
        while (held := frame(one))["playing"]:
            pass
        assert frame(other)["playing"]
        one.send('{"do": "step"}')
        assert frame(one)["envStep"] == held["envStep"] + 1


def test_there_is_an_end_to_the_number_of_pages(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.runs.browser.server._MOST_PAGES", 1)
    page = application(run.folder, lambda send: FigureSession(run.folder, "a run", send))
    with served(page) as port, connect(f"ws://127.0.0.1:{port}/{TOKEN}/live") as one:
        assert json.loads(one.recv(timeout=SECONDS))["kind"] == "figures"
        with connect(f"ws://127.0.0.1:{port}/{TOKEN}/live") as other:
            assert "close one" in json.loads(other.recv(timeout=SECONDS))["text"]


def test_an_economy_is_its_figures(tmp_path: Path) -> None:
    folder = tmp_path / "economy"
    folder.mkdir()
    (folder / "policy.png").write_bytes(b"a picture")
    (tmp_path / "other.png").write_bytes(b"another")
    with served(application(folder, lambda send: FigureSession(folder, "brock-mirman", send))) as port:
        with connect(f"ws://127.0.0.1:{port}/{TOKEN}/live") as page:
            told = json.loads(page.recv(timeout=SECONDS))
            assert (told["heading"], told["figures"][0][0]) == ("brock-mirman", "policy.png")
            (folder / "errors.png").write_bytes(b"new")
            assert [name for name, _ in json.loads(page.recv(timeout=SECONDS))["figures"]] == [
                "errors.png",
                "policy.png",
            ]
        assert got(port, f"/{TOKEN}/figures/policy.png")[1] == b"a picture"
        for path in ("figures/..%2Fother.png", "figures/../../other.png", "figures/config.json", "%2e%2e/server.py"):
            assert got(port, f"/{TOKEN}/{path}")[0] == 404


# --- the command ---


def test_wrong_arguments_are_one_line(run: Run, tmp_path: Path, script_here: Callable[..., tuple[int, str]]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for arguments, complaint in (
            ((port,), f"port {port} cannot be used"),
            ((70_000,), "port 70000 cannot be used"),
            ((1, 2), "--serve takes one port"),
            ((0, "--record", "out.mp4"), "--record is not for --serve"),
            ((0, "--seed", 7), "has no seed 7"),
        ):
            status, said = script_here("watch", run.folder, "--serve", *arguments, folder=tmp_path)
            assert (status, len(said.splitlines())) == (1, 1) and complaint in said


def test_newest_is_for_the_browser(run: Run, tmp_path: Path, script_here: Callable[..., tuple[int, str]]) -> None:
    status, said = script_here("watch", run.folder, "--checkpoint", "newest", folder=tmp_path)
    assert status == 1 and "--checkpoint newest is for --serve" in said
