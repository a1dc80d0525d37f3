import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlsuite.experience import ExperienceError
from rlsuite.training import worker as worker_module
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, load
from rlsuite.training.trainer import Schedule, Trainer, TrainingError
from rlsuite.training.worker import Worker


class Line:
    """A learner that fits two numbers, one a seed, by gradient descent."""

    def __init__(self):
        self.weights = torch.zeros(2)

    def update(self, batch):
        losses = (self.weights - batch) ** 2
        self.weights -= 0.1 * (self.weights - batch)
        return {"loss/square": losses}

    def state_dict(self):
        return {"weights": self.weights}

    def load_state_dict(self, state):
        self.weights.copy_(state["weights"])


class Counting:
    """A source of four env steps a round, whose batches depend on how many were drawn."""

    def __init__(self, bad_at=None):
        self.env_steps, self.drawn, self.bad_at = 0, 0, bad_at

    @property
    def updates_due(self):
        return 2 if self.env_steps >= 8 else 0

    def collect(self):
        pass

    def finish_round(self):
        self.env_steps += 4

    def sample(self):
        self.drawn += 1
        value = float("nan") if self.drawn == self.bad_at else np.sin(self.drawn)
        return torch.tensor([value, 2.0])

    def statistics(self):
        return {"train/return": float(self.env_steps)}

    def state_dict(self):
        return {"env_steps": self.env_steps, "drawn": self.drawn}

    def load_state_dict(self, state):
        self.env_steps, self.drawn = state["env_steps"], state["drawn"]

    def close(self):
        pass


class Memory:
    """A writer that keeps everything."""

    def __init__(self):
        self.lines = []

    def log(self, clock, values):
        self.lines.append((clock.env_steps, clock.updates, {k: np.array(v) for k, v in values.items() if "/" in k}))

    def named(self, name):
        return [(env_steps, values[name].tolist()) for env_steps, _, values in self.lines if name in values]

    def video(self, clock, name, path): ...
    def summary(self, values): ...
    def sync(self): ...
    def close(self, status): ...


SCHEDULE = Schedule(total=200, log_every=20, evaluate_every=40, checkpoint_every_seconds=1e9)


def trainer(tmp_path=None, schedule=SCHEDULE, source=None, evaluate=None):
    learner, memory = Line(), Memory()
    checkpoints = None if tmp_path is None else Checkpoints(tmp_path)

    def score():
        return {"evaluation/score": learner.weights.numpy().copy()}

    worker = Worker(learner, source or Counting(), evaluate or score)
    return Trainer(worker, schedule, memory, checkpoints), learner, memory


def test_it_warms_up_then_updates_and_logs_means_per_seed():
    run, learner, memory = trainer()
    outcome = run.run()
    assert outcome.status == "finished"
    assert outcome.clock.env_steps == 200
    assert outcome.clock.updates == 2 * (50 - 2)
    assert [env_steps for env_steps, _ in memory.named("train/return")] == list(range(20, 201, 20))
    assert all(len(values) == 2 for _, values in memory.named("loss/square"))
    expected = Line()
    losses = [expected.update(torch.tensor([np.sin(draw), 2.0]))["loss/square"] for draw in range(1, 97)]
    assert torch.allclose(learner.weights, expected.weights)
    assert memory.named("loss/square")[0][1] == pytest.approx(torch.stack(losses[:6]).mean(0).tolist())


def test_the_best_of_each_seed_is_kept_apart(tmp_path):
    scores = iter([[1.0, 5.0], [3.0, 2.0], [2.0, 6.0], [0.0, 0.0], [0.0, 0.0]])
    run, learner, _ = trainer(tmp_path, evaluate=lambda: {"evaluation/score": np.array(next(scores))})
    weights = []
    save = run.checkpoints.save_best
    run.checkpoints.save_best = lambda state: (weights.append(learner.weights.clone()), save(state))
    outcome = run.run()
    assert outcome.best_score.tolist() == [3.0, 6.0]
    best = load(tmp_path / "best")["learner"]["weights"]
    assert best[0] == weights[1][0]  # seed 0 was best at the second evaluation
    assert best[1] == weights[2][1]  # seed 1 at the third


def test_it_stops_when_every_seed_has_reached_the_target():
    scores = iter([[1.0, 9.0], [4.0, 1.0], [9.0, 1.0], [9.0, 9.0]])
    schedule = Schedule(total=200, evaluate_every=40, target_score=5.0)
    run, _, _ = trainer(schedule=schedule, evaluate=lambda: {"evaluation/score": np.array(next(scores))})
    outcome = run.run()
    assert outcome.status == "solved"
    assert outcome.clock.env_steps == 120


def test_a_target_that_was_reached_by_chance_is_not_reached(tmp_path):
    schedule = Schedule(total=200, evaluate_every=40, target_score=5.0)
    scores = iter([[9.0, 1.0], [9.0, 8.0], [9.5, 7.0]])
    again = iter([[4.0, 9.0], [6.0, 4.5], [9.0, 5.0]])
    run, learner, memory = trainer(tmp_path, schedule, evaluate=lambda: {"evaluation/score": np.array(next(scores))})
    run.workers.confirmation = lambda: {"evaluation/score": np.array(next(again))}
    at = []
    save = run.checkpoints.save_best
    run.checkpoints.save_best = lambda state: (at.append(learner.weights.clone()), save(state))
    outcome = run.run()
    assert (outcome.status, outcome.clock.env_steps) == ("solved", 120)
    assert outcome.best_score.tolist() == [6.0, 5.0]  # each as it was confirmed, and kept from then on
    best = load(tmp_path / "best")["learner"]["weights"]
    assert best.tolist() == [at[1][0].item(), at[2][1].item()]
    assert memory.named("evaluation/confirmed_score") == [(40, [4.0, 9.0]), (80, [6.0, 4.5]), (120, [9.0, 5.0])]
    resumed, _, _ = trainer(tmp_path, schedule)
    resumed.load_state_dict(resumed.checkpoints.load())
    assert resumed.run().status == "solved"


def test_a_state_that_was_just_loaded_is_not_saved_over_the_one_before_it(tmp_path):
    source = Counting(bad_at=30)
    run, _, _ = trainer(tmp_path, replace(SCHEDULE, checkpoint_every_seconds=-1.0), source)
    with pytest.raises(TrainingError):
        run.run()
    kept = [run.checkpoints.load(), load(tmp_path / "previous")]
    for _ in range(2):
        again, _, _ = trainer(tmp_path, source=Counting(bad_at=30))
        again.load_state_dict(again.checkpoints.load())
        with pytest.raises(TrainingError):
            again.run()
        for before, name in zip(kept, ("last", "previous"), strict=True):
            assert load(tmp_path / name)["source"] == before["source"]


@pytest.mark.parametrize("total", [80, 200])
def test_parameters_that_are_not_finite_are_never_saved_even_where_no_loss_shows_it(tmp_path, total):
    class Exploding(Line):
        taken = 0

        def update(self, batch):
            self.taken += 1
            if self.taken == 36:
                self.weights[1] = float("inf")
            return {"loss/square": torch.zeros(2)}

    learner = Exploding()
    worker = Worker(learner, Counting(), seeds=(7, 8))
    run = Trainer(worker, replace(SCHEDULE, total=total), Memory(), Checkpoints(tmp_path))
    with pytest.raises(TrainingError, match=r"weights is not finite at env step 80, update 36 \(seeds \[8\]\)"):
        run.run()
    assert torch.isfinite(run.checkpoints.load()["learner"]["weights"]).all()


def test_an_evaluation_that_failed_is_taken_before_the_run_goes_on(tmp_path):
    def fails():
        raise ExperienceError("out of order")

    whole, _, memory = trainer(tmp_path / "whole")
    whole.run()
    run, _, begun = trainer(tmp_path / "cut", evaluate=fails)
    with pytest.raises(ExperienceError):
        run.run()
    resumed, _, rest = trainer(tmp_path / "cut")
    resumed.load_state_dict(resumed.checkpoints.load())
    resumed.run()
    for name in ("evaluation/score", "train/return"):
        assert begun.named(name) + rest.named(name) == memory.named(name)


@pytest.mark.parametrize("stop_at", [4, 52, 124])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, stop_at, monkeypatch):
    monkeypatch.setattr(worker_module, "_STRETCH_SECONDS", -1.0)  # looks for a stop after every round
    whole, learner, memory = trainer(tmp_path / "whole")
    whole.run()

    class Interrupted(Counting):
        def collect(self):
            if self.env_steps == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            return super().collect()

    first, _, begun = trainer(tmp_path / "cut", source=Interrupted())
    assert first.run().status == "interrupted"
    second, resumed, rest = trainer(tmp_path / "cut")
    second.load_state_dict(second.checkpoints.load())
    assert second.run().status == "finished"
    assert torch.equal(resumed.weights, learner.weights)
    for name in ("loss/square", "train/return", "evaluation/score"):
        assert begun.named(name) + rest.named(name) == memory.named(name)
    assert second.best_score.tolist() == whole.best_score.tolist()


def test_a_checkpoint_has_a_best_score_for_each_seed(tmp_path):
    run, _, _ = trainer(tmp_path)
    run.run()
    state = run.checkpoints.load()
    state["trainer"]["best_score"].append(1.0)
    with pytest.raises(CheckpointError, match=r"trainer/best_score is not a list of 2"):
        run.load_state_dict(state)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path):
    run, _, _ = trainer(tmp_path, source=Counting(bad_at=30))
    with pytest.raises(TrainingError, match=r"loss/square is not finite at env step 80, update \d+ \(seeds \[0\]\)"):
        run.run()
    assert torch.isfinite(run.checkpoints.load()["learner"]["weights"]).all()


def test_progress_may_be_counted_in_updates():
    schedule = Schedule(total=10, unit="updates", log_every=5, evaluate_every=5)
    run, _, memory = trainer(schedule=schedule)
    assert run.run().clock.updates == 10
    assert [updates for _, updates, values in memory.lines if "loss/square" in values] == [6, 10]


def test_a_checkpoint_never_relies_on_metrics_that_are_not_on_the_disk(tmp_path):
    first, _, memory = trainer(tmp_path)

    def full():
        if memory.lines:
            raise OSError("no space for metrics")

    memory.sync = full
    with pytest.raises(OSError, match="no space for metrics"):
        first.run()
    assert first.checkpoints.load()["clock"]["env_steps"] == 0


def test_a_learner_with_a_tensor_that_has_no_row_a_seed_is_refused():
    class Atoms(Line):
        def state_dict(self):
            return {**super().state_dict(), "support": {"atoms": torch.linspace(-1.0, 1.0, 51)}}

    with pytest.raises(
        ValueError, match=r"state/support/atoms has shape \(51,\): its first axis must be that of the 2"
    ):
        Worker(Atoms(), Counting(), seeds=[0, 1])
