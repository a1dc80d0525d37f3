"""Seeds in several processes: exact wherever they are stopped, and no process left behind whoever is killed."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.cli import command
from rlsuite.tracking import run_folder
from rlsuite.training import messages
from rlsuite.training import worker as worker_module
from rlsuite.training.checkpoint import Checkpoints
from rlsuite.training.evaluation import EvaluationStopped, Progress, Watch
from rlsuite.training.shards import Shards
from rlsuite.training.trainer import Schedule, Trainer, TrainingError
from rlsuite.training.worker import Worker
from tests.training.test_trainer import Counting, Memory


class Slowing:
    """Follows its batches ever more slowly, by a count that belongs to all of its seeds."""

    def __init__(self, seeds):
        self.weights, self.steps = torch.zeros(seeds), 0

    def update(self, batch):
        self.steps += 1
        losses = (self.weights - batch[0]) ** 2
        self.weights -= (self.weights - batch[0]) / (2 + self.steps)
        return {"loss/square": losses}

    def state_dict(self):
        return {"weights": self.weights, "pace": {"steps": self.steps}}

    def load_state_dict(self, state):
        self.weights.copy_(state["weights"])
        self.steps = state["pace"]["steps"]


def build(seeds, stretch_seconds, evaluation_seconds=0.0):
    worker_module._STRETCH_SECONDS = stretch_seconds
    learner = Slowing(seeds)

    def evaluate():
        watch, end = Watch("evaluation", 1), time.monotonic() + evaluation_seconds
        while time.monotonic() < end:
            watch(Progress(0, 0.0))
            time.sleep(0.01)
        return {"evaluation/score": learner.weights.numpy().copy()}

    return Worker(learner, Counting(), evaluate)


def two_tiles(evaluation_seconds=0.0):
    """A shard of two seeds that looks up after every round, and one of three that runs to the goal at once."""
    ways = ((2, -1.0), (3, 60.0))
    return Shards([functools.partial(build, *way, evaluation_seconds) for way in ways], [2, 3])


@pytest.fixture(scope="module")
def shards():
    made = two_tiles()
    yield made
    made.close()


def flat(state, prefix=""):
    for name, entry in state.items():
        if isinstance(entry, dict):
            yield from flat(entry, f"{prefix}{name}/")
        elif "seconds" not in name:
            yield prefix + name, entry.tolist() if isinstance(entry, torch.Tensor) else entry


def run_to(shards, folder, memory, stop_after_ticks=None):
    """Train on from the checkpoint of a folder, until so many looks at the clock have been taken."""
    ticks = []

    def tick(clock):
        ticks.append(clock)
        if len(ticks) == stop_after_ticks:
            os.kill(os.getpid(), signal.SIGTERM)

    schedule = Schedule(total=104, log_every=20, evaluate_every=40)
    trainer = Trainer(shards, schedule, memory, Checkpoints(folder), tick)
    trainer.load_state_dict(trainer.checkpoints.load())
    return trainer.run(), dict(flat(trainer.state_dict()))


def test_wherever_tiles_are_stopped_they_end_as_if_they_never_had_been(shards, tmp_path):
    Trainer(shards, Schedule(total=0), Memory(), Checkpoints(tmp_path / "whole")).run()
    begun = Checkpoints(tmp_path / "whole").load()
    memory = Memory()
    _, expected = run_to(shards, tmp_path / "whole", memory)
    assert [env_steps for env_steps, _ in memory.named("train/return")] == [20, 40, 60, 80, 100, 104]
    assert [env_steps for env_steps, _ in memory.named("evaluation/score")] == [40, 80]
    seen_apart = False
    for stops in ((3,), (5, 7), (4, 1, 2)):
        again, found = Memory(), {}
        folder = tmp_path / str(stops)
        Checkpoints(folder).save_last(begun)
        for stop in (*stops, None):
            outcome, found = run_to(shards, folder, again, stop)
            assert outcome.status == ("finished" if stop is None else "interrupted")
            saved = Checkpoints(folder).load()["shards"]
            seen_apart |= len({shard["source"]["env_steps"] for shard in saved.values()}) > 1
        assert found == expected
        for name in ("loss/square", "train/return", "evaluation/score"):
            assert again.named(name) == memory.named(name)
    assert seen_apart  # else nothing was tried


def test_signals_that_reach_all_processes_are_left_to_the_trainer(shards):
    for worker in shards._workers:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker.pid, number)
    time.sleep(0.2)
    assert len(shards.evaluate()["evaluation/score"]) == 5


def test_the_first_ctrl_c_ends_an_evaluation_that_is_done_again_on_resume(shards, tmp_path):
    schedule, checkpoints = Schedule(total=40, log_every=40, evaluate_every=40), Checkpoints(tmp_path)
    endless = two_tiles(evaluation_seconds=600.0)
    try:
        timer = threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        with pytest.raises(EvaluationStopped):
            Trainer(endless, schedule, Memory(), checkpoints).run()
        assert "train/return" in endless.measurements()  # they are there for more
    finally:
        timer.cancel()
        endless.close()
    saved = checkpoints.load()
    assert (saved["clock"]["env_steps"], saved["trainer"]["evaluated"]) == (40, 0)
    memory = Memory()
    trainer = Trainer(shards, schedule, memory, checkpoints)
    trainer.load_state_dict(saved)
    assert trainer.run().status == "finished"
    assert [env_steps for env_steps, _ in memory.named("evaluation/score")] == [40]


def raising(exception):
    def evaluate():
        return np.ones(2) + np.ones(3) if exception is None else _raise(exception)

    return Worker(Slowing(2), Counting(), evaluate)


def _raise(exception):
    raise exception


def test_an_error_of_a_worker_that_is_no_message_for_people_leaves_a_log(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run_folder, "current", lambda: None)
    for exception, status in ((None, command.FAULT), (TrainingError("x is not finite"), 1)):
        shards = Shards([functools.partial(raising, exception)], [2])
        try:
            shards.evaluate()
        except Exception as error:
            assert command.report(error) == status
        finally:
            shards.close()
    (log,) = tmp_path.iterdir()
    assert "operands could not be broadcast" in log.read_text() and "in evaluate" in log.read_text()


def test_a_worker_that_is_killed_ends_the_run_in_two_lines_and_takes_the_others_along():
    shards = two_tiles(evaluation_seconds=600.0)
    try:
        shards._connections[0].send(("evaluate", [()]))
        os.kill(shards._workers[0].pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match=r"a worker process is gone: killed by signal 9.*\n.*checkpoint") as end:
            shards.measurements()
        assert str(end.value).count("\n") == 1
        shards._connections[1].send(("evaluate", [()]))  # the other one is busy for minutes
        messages._SECONDS_TO_END, before = 0.2, messages._SECONDS_TO_END
    finally:
        shards.close()
        messages._SECONDS_TO_END = before
    for worker in shards._workers:
        worker.join(10.0)
        assert not worker.is_alive()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_workers_end_with_a_trainer_that_is_killed_though_they_are_busy():
    program = (
        "from tests.training.test_shards import two_tiles\n"
        "if __name__ == '__main__':\n"
        "    shards = two_tiles(evaluation_seconds=600.0)\n"
        "    print(*[worker.pid for worker in shards._workers], flush=True)\n"
        "    shards.evaluate()\n"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    trainer = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    pids = [int(pid) for pid in trainer.stdout.readline().split()]
    assert len(pids) == 2
    time.sleep(0.5)
    assert all(is_alive(pid) for pid in pids)
    trainer.kill()
    trainer.wait()
    give_up_at = time.monotonic() + 30.0
    while any(is_alive(pid) for pid in pids) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)
    assert trainer.stderr.read() == ""
