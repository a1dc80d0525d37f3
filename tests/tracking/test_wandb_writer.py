import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import wandb
from wandb_reading import read_sessions
from wandb_server import FAKE_KEY, WandbServer

from rlsuite.tracking.record import Clock
from rlsuite.tracking.video import VideoWriter
from rlsuite.tracking.wandb_writer import WandbWriter, over_seeds

pytestmark = pytest.mark.usefixtures("fresh_wandb")

CONFIG = {"agent": {"learning_rate": 1e-3, "hidden": [64, 64]}, "seeds": 3}


def clock(env_steps: int) -> Clock:
    return Clock(env_steps, updates=env_steps // 4, wall_seconds=env_steps / 100)


def log_rows(writer: WandbWriter, start: int, stop: int) -> None:
    for env_steps in range(start, stop, 100):
        returns = np.array([1.0, 2.0, 6.0]) * env_steps
        writer.log(clock(env_steps), {"train/return": returns, "time/learn_fraction": 0.25})


def make_video(path: Path) -> Path:
    with VideoWriter(path, frames_per_second=10) as video:
        video.write(np.zeros((16, 16, 3), np.uint8))
    return path


def test_seeds_become_iqm_and_range() -> None:
    assert over_seeds("a/b", 3.0) == {"a/b": 3.0}
    assert over_seeds("a/b", np.array([3.0])) == {"a/b": 3.0}
    four_seeds = {"a/b": 2.5, "a/b/seed_min": -100.0, "a/b/seed_max": 100.0}
    assert over_seeds("a/b", np.array([2.0, 100.0, 3.0, -100.0])) == four_seeds
    assert over_seeds("a/b", np.array([2.0, np.nan, 4.0])) == {"a/b": 3.0, "a/b/seed_min": 2.0, "a/b/seed_max": 4.0}
    assert over_seeds("a/b", np.array([np.nan, np.nan])) == {}


def test_offline_run_holds_everything(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / "dqn"
    writer = WandbWriter(folder, "dqn", CONFIG, seeds=(0, 1, 2))
    log_rows(writer, 100, 400)
    writer.video(clock(300), "evaluation/video", make_video(tmp_path / "300.mp4"))
    writer.summary({"iqm": 5.0, "ci95": [4.0, 6.0], "per_seed_mean": np.array([4.0, 5.0, 6.0]), "best": folder})
    writer.close("finished")
    assert capfd.readouterr() == ("", "")

    [session] = read_sessions(folder / "wandb")
    assert (session.name, session.project, session.group, session.exit_code) == ("dqn", "rlsuite", "", 0)
    assert session.run_id == json.loads((folder / "wandb.json").read_text())["run_ids"][0]
    assert session.config["agent"] == CONFIG["agent"] and session.config["seeds"] == 3
    assert session.step_metrics["*"] == "env_steps"
    expected = {
        "env_steps": 200,
        "updates": 50,
        "wall_seconds": 2.0,
        "_step": 200,
        "train/return": 600.0,
        "train/return/seed_min": 200.0,
        "train/return/seed_max": 1200.0,
        "time/learn_fraction": 0.25,
    }
    assert expected.items() <= session.rows[1].items()
    assert [row["_step"] for row in session.rows] == [100, 200, 300]
    assert session.rows[2]["evaluation/video/_type"] == "video-file"  # in the row of the same step
    [kept] = (folder / "wandb").glob(f"offline-run-*/files/{session.rows[2]['evaluation/video/path']}")
    assert kept.read_bytes() == (tmp_path / "300.mp4").read_bytes()
    assert session.summary["best"] == str(folder)
    assert session.summary["ci95"] == [4.0, 6.0] and session.summary["per_seed_mean"] == [4.0, 5.0, 6.0]


@pytest.mark.parametrize(("status", "exit_code"), [("interrupted", 130), ("failed", 1)])
def test_status_is_kept(tmp_path: Path, status: str, exit_code: int) -> None:
    writer = WandbWriter(tmp_path, "dqn", CONFIG)
    writer.close(status)  # type: ignore[arg-type]
    assert read_sessions(tmp_path / "wandb")[0].exit_code == exit_code


def test_resumed_offline_run_keeps_its_id(tmp_path: Path) -> None:
    for start in (100, 300):
        writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2), mode="offline")
        log_rows(writer, start, start + 200)
        writer.close("interrupted")
    first, second = read_sessions(tmp_path / "wandb")
    assert first.run_id == second.run_id
    assert [row["_step"] for row in first.rows + second.rows] == [100, 200, 300, 400]


def test_damaged_id_file_starts_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "wandb.json").write_text('{"run_i')
    WandbWriter(tmp_path, "dqn", CONFIG).close("finished")
    assert read_sessions(tmp_path / "wandb")[0].run_id in (tmp_path / "wandb.json").read_text()


def test_group_has_one_run_a_seed(tmp_path: Path) -> None:
    for start in (100, 200):  # the second time it is resumed
        writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(3, 7), mode="offline", group="lunar")
        returns = np.array([1.0, 2.0]) * start
        writer.log(clock(start), {"train/return": returns, "loss/td": np.array([np.nan, 1.0]), "speed": 5.0})
        writer.summary({"per_seed_mean": np.array([8.0, 9.0]), "episodes": 100})
        writer.close("finished")
    sessions = read_sessions(tmp_path / "wandb")
    assert len({session.run_id for session in sessions}) == 2
    for name, values in (("dqn-seed3", [100.0, 200.0]), ("dqn-seed7", [200.0, 400.0])):
        own = [session for session in sessions if session.name == name]
        assert [session.group for session in own] == ["lunar"] * 2
        assert [row["train/return"] for session in own for row in session.rows] == values
        assert own[0].rows[0]["speed"] == 5.0
        assert ("loss/td" in own[0].rows[0]) == (name == "dqn-seed7")
        assert own[0].summary["per_seed_mean"] == (8.0 if name == "dqn-seed3" else 9.0)
        assert own[0].summary["episodes"] == 100


def test_axis_of_runs_that_count_updates(tmp_path: Path) -> None:
    writer = WandbWriter(tmp_path, "lenet", {}, axis="updates")
    writer.log(Clock(0, 10, 1.0), {"loss": 1.0})
    writer.log(Clock(0, 20, 2.0), {"loss": 0.5})
    writer.close("finished")
    [session] = read_sessions(tmp_path / "wandb")
    assert [row["_step"] for row in session.rows] == [10, 20]
    assert session.step_metrics["*"] == "updates"


def test_disabled_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    for mode in ("disabled", "auto"):
        monkeypatch.setenv("WANDB_MODE", "disabled")
        writer = WandbWriter(folder, "dqn", CONFIG, mode=mode)  # type: ignore[arg-type]
        log_rows(writer, 100, 200)
        writer.video(clock(200), "evaluation/video", Path("nowhere.mp4"))
        writer.summary({"iqm": 1.0})
        writer.close("finished")
    assert not folder.exists()


def test_environment_chooses_offline_and_mode_overrules_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: WandbServer
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    WandbWriter(tmp_path / "a", "dqn", CONFIG).close("finished")
    assert server.groups == {}
    WandbWriter(tmp_path / "b", "dqn", CONFIG, mode="online").close("finished")
    assert len(server.groups) == 1


def test_online_without_a_key_does_not_ask(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2), mode="online")
    log_rows(writer, 100, 200)
    writer.close("finished")
    [line] = capfd.readouterr().err.splitlines()
    assert "no key" in line
    assert len(read_sessions(tmp_path / "wandb")[0].rows) == 1


def test_key_in_netrc_means_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: WandbServer) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {server.url.removeprefix('http://')}\n  login user\n  password {FAKE_KEY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    WandbWriter(tmp_path / "run", "dqn", CONFIG).close("finished")
    assert len(server.groups) == 1


@pytest.mark.parametrize("group", [None, "lunar"])
def test_unreachable_server_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], group: str | None
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed_port = probe.getsockname()[1]
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port}")
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2), mode="online", group=group)
    log_rows(writer, 100, 400)
    writer.close("finished")
    [line] = capfd.readouterr().err.splitlines()
    assert "kept offline" in line and f"wandb sync {tmp_path}" in line
    sessions = read_sessions(tmp_path / "wandb", "offline-run-*")
    assert [len(session.rows) for session in sessions] == [3] * (1 if group is None else 3)


def test_refused_key_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    WandbWriter(tmp_path, "dqn", CONFIG).close("finished")
    [line] = capfd.readouterr().err.splitlines()
    assert "kept offline" in line and "API key" in line
    assert len(read_sessions(tmp_path / "wandb")) == 1


def test_online_run_arrives_and_is_resumed_without_repeats(
    tmp_path: Path, server: WandbServer, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2))
    log_rows(writer, 100, 600)
    writer.video(clock(500), "evaluation/video", make_video(tmp_path / "500.mp4"))
    writer.close("interrupted")
    [run_id] = server.rows
    assert any(path.endswith(".mp4") for path in server.uploads)

    # The checkpoint is from env step 300: 400 and 500 are reported again, as they were the first time.
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2))
    log_rows(writer, 400, 900)
    writer.close("finished")
    assert list(server.rows) == [run_id]
    assert [row["_step"] for row in server.rows[run_id]] == [100, 200, 300, 400, 500, 600, 700, 800]
    assert [row["train/return"] for row in server.rows[run_id]] == [300.0 * step for step in range(1, 9)]

    assert not Path(os.environ["NETRC"]).exists()  # the key was not copied to another place
    lines = capfd.readouterr().err.splitlines()
    assert lines == [f"W&B: {server.url}/someone/rlsuite/runs/{run_id}"] * 2


def test_online_group(tmp_path: Path, server: WandbServer, capfd: pytest.CaptureFixture[str]) -> None:
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2), group="lunar")
    log_rows(writer, 100, 300)
    writer.close("finished")
    assert list(server.groups.values()) == ["lunar"] * 3
    assert sorted(row["train/return"] for rows in server.rows.values() for row in rows) == [
        100.0,
        200.0,
        200.0,
        400.0,
        600.0,
        1200.0,
    ]
    assert capfd.readouterr().err == f"W&B: {server.url}/someone/rlsuite/groups/lunar\n"


def test_server_that_goes_away_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: WandbServer, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")
    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2))
    server.stop()
    log_rows(writer, 100, 400)
    writer.close("finished")
    link, line = capfd.readouterr().err.splitlines()
    assert link.startswith("W&B: http")
    assert "did not get everything in time" in line and "wandb sync" in line
    assert len(read_sessions(tmp_path / "wandb")[0].rows) == 3


def test_errors_while_logging_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def break_down(*arguments: object, **options: object) -> None:
        raise RuntimeError("W&B's process is gone")

    writer = WandbWriter(tmp_path, "dqn", CONFIG, seeds=(0, 1, 2))
    monkeypatch.setattr(wandb.Run, "log", break_down)
    log_rows(writer, 100, 400)
    writer.video(clock(300), "evaluation/video", tmp_path / "missing.mp4")
    writer.close("finished")
    [line] = capfd.readouterr().err.splitlines()
    assert "W&B's process is gone" in line and "metrics.jsonl" in line
