"""Sweeps: what is started, what is told of a failed run, and how a stopped one goes on."""

import io
import json
import re
import sys
import time
from dataclasses import replace

import pytest
import rich.console

from agents.dqn import DQNConfig
from agents.runs import sweeping
from agents.runs.processes import RESTARTS, Processes
from agents.runs.sweep_folder import Member, begin, read
from agents.runs.sweeping import member
from rlsuite.tracking.run_table import RunTable

# In place of ``train``: leaves its arguments behind, and ends as the agent's name says.
PROGRAM = """
import os, signal, sys, time
agent, (folder, name) = sys.argv[1], (sys.argv[-3], sys.argv[-1])
with open(f"{folder}/{name}.calls", "a+") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
    calls.seek(0)
    number = len(calls.readlines())
if agent == "fails":
    sys.exit("train.py: the environment is made of cheese")
if agent == "killed" or (agent == "killed-once" and number == 1):
    os.kill(os.getpid(), signal.SIGKILL)
if agent == "waits":
    sys.stdin.read()
    sys.exit(130)
"""


def members(*agents, cores=1):
    return [Member(f"run-{k}", agent, ["x" * 20], "CartPole-v1", 100, 1, cores, 0) for k, agent in enumerate(agents)]


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sweeping, "_POLL_SECONDS", 0.02)


def test_a_failed_run_is_shown_a_killed_one_goes_on_and_others_too(tmp_path, program, capsys):
    sweep = begin(tmp_path / "a", members("fails", "trains", "killed", "killed-once"))
    assert sweeping.run(sweep, Processes(program, jobs=4)) == {"failed": 2, "finished": 2}
    said = capsys.readouterr().out
    assert "run-0: failed, train.py: the environment is made of cheese (see" in said and "run-0.log)" in said
    assert "run-2: failed, killed by SIGKILL" in said
    calls = {one.name: (tmp_path / f"a/{one.name}.calls").read_text().count("\n") for one in sweep.members}
    assert calls == {"run-0": 1, "run-1": 1, "run-2": 1 + RESTARTS, "run-3": 2}
    assert [one.finished for one in read(tmp_path / "a").members] == [False, True, False, True]
    # Once more: only what is not finished.
    sweeping.run(read(tmp_path / "a"), Processes(program))
    assert (tmp_path / "a/run-1.calls").read_text().count("\n") == 1
    assert (tmp_path / "a/run-0.calls").read_text().count("\n") == 2


class StopsWhen(Processes):
    """Asks itself to stop once ``number`` runs are running."""

    number = 1

    def poll(self):
        events = super().poll()
        self.most = max(getattr(self, "most", 0), len(self._running))
        if len(self._running) == self.number and not self._is_stopping:
            time.sleep(0.1)
            self.stop()
        return events


def test_runs_are_asked_to_stop_and_those_that_wait_are_not_started(tmp_path, program):
    sweep = begin(tmp_path / "a", members("waits", "waits", "waits"))
    hosts = StopsWhen(program, jobs=2)
    hosts.number = 2
    assert sweeping.run(sweep, hosts) == {"stopped": 3}
    assert not (tmp_path / "a/run-2.calls").exists()


def test_side_by_side_as_the_cores_have_room_for(tmp_path, program):
    hosts = StopsWhen(program)
    hosts._cores, hosts.number = 4, 3
    sweeping.run(begin(tmp_path / "a", members("trains", "trains", "trains", cores=2)), hosts)
    assert hosts.most == 2
    hosts = StopsWhen(program)
    hosts._cores = 1
    hosts.number = 2
    assert sweeping.run(begin(tmp_path / "b", members("trains", cores=8)), hosts) == {"finished": 1}  # alone if need be


def test_a_run_that_has_begun_is_resumed(tmp_path):
    sweep = begin(tmp_path / "a", members("dqn"))
    folder = str((tmp_path / "a").resolve())
    assert sweep.arguments(sweep.members[0]) == ["dqn", "x" * 20, "--runs", folder, "--name", "run-0"]
    (tmp_path / "a/run-0").mkdir()
    (tmp_path / "a/run-0/config.json").touch()
    assert sweep.arguments(sweep.members[0]) == ["--resume", f"{folder}/run-0"]
    assert sweep.arguments(sweep.members[0], take_over=True)[2:] == ["--take-over"]


def test_processes_and_threads_are_decided_when_a_sweep_is_made(tmp_path):
    config = DQNConfig(env="CartPole-v1", seeds=4, workers=2)
    one = member("a", "dqn", ["--env", "CartPole-v1", "--workers", "2"], config)
    assert one.options == ["--env", "CartPole-v1", "--workers", "2", "--threads", "1"] and one.cores == 2
    assert member("a", "dqn", [], replace(config, device="cuda")).gpus == 1  # of another host perhaps
    sweep = begin(tmp_path / "a", [one])
    assert begin(tmp_path / "a", [replace(one, options=[*one.options[:-1], "8"])]) == sweep  # of another machine
    with pytest.raises(ValueError, match=r"a had CartPole-v1, now Acrobot-v1\): choose another --name, or go on with"):
        begin(tmp_path / "a", [replace(one, options=["--env", "Acrobot-v1"])])
    with pytest.raises(ValueError, match=r"\(b is new\)"):
        begin(tmp_path / "a", [one, replace(one, name="b")])


@pytest.mark.parametrize("content", ["{", "[]", '{"runs": [{"name": "a"}]}'])
def test_a_folder_that_holds_no_sweep_is_refused(tmp_path, content):
    with pytest.raises(ValueError, match="is not a sweep"):
        read(tmp_path)
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ValueError, match="damaged or of another version"):
        read(tmp_path)
    (tmp_path / "sweep.json").rename(tmp_path / "notes")
    with pytest.raises(ValueError, match="is there already, and is no sweep"):
        begin(tmp_path, members("dqn"))


def test_the_table_fits_its_terminal_and_shows_what_runs_first(tmp_path):
    shown = io.StringIO()
    output = rich.console.Console(file=shown, width=80, height=12, force_terminal=True, _environ={"TERM": "xterm"})
    table = RunTable("runs/a", output)
    for k in range(20):
        metrics = tmp_path / f"{k}.jsonl"
        line = {"env_steps": 500, "updates": 1, "wall_seconds": 2.0, "train/return": [1.0, 3.0]}
        metrics.write_text(json.dumps(line) + '\n{"env_st')
        table.add(f"dqn-rlsuite-CartPole-v1-batch-size-{k}", metrics, 1_000, 2, "finished" if k < 10 else "running")
    with table:
        table.show()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    assert all(len(line.rstrip()) < 80 for line in re.split(r"[\r\n]+", text))
    assert "20 runs, 10 running, 10 finished, 75 %" in text and "and 13 more" in text
    assert "batch-size-10" in text and "50 %" in text and "2.00" in text


def test_a_run_that_goes_back_to_its_checkpoint_is_shown_there(tmp_path):
    shown, metrics = io.StringIO(), tmp_path / "metrics.jsonl"
    table = RunTable("runs/a", rich.console.Console(file=shown, width=100))
    table.add("a", metrics, 1_000, 1, "running")
    for env_steps in ([100, 200, 300, 400], [100, 200]):
        lines = [{"env_steps": step, "updates": 0, "wall_seconds": step / 10} for step in env_steps]
        metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
        table.show()
    assert table._rows["a"].progress.fraction == 0.2
    assert table._rows["a"].progress.per_second("env_steps") == 10.0
