"""Scales of observations and rewards: right, a seed's own, saved, and frozen where nothing is learned."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_worker
from agents.runs.run import Run
from rlsuite.agent import Diagnostics
from rlsuite.experience import Batch, Step
from rlsuite.state import StateError
from rlsuite.training.normalisation import Normalised, Normaliser, RunningStatistics
from rlsuite.training.worker import Worker

SMALL: dict[str, Any] = {
    "env": "rlsuite/Pendulum-v1",
    "num_envs": 2,
    "hidden": (8,),
    "seeds": 2,
    "evaluation_episodes": 1,
    "normalise_observations": True,
    "normalise_rewards": True,
    "execution": "eager",
}
PPO = PPOConfig(rollout_env_steps=16, epochs=1, minibatches=1, **SMALL)


def test_statistics_are_those_of_all_numbers_together() -> None:
    torch.manual_seed(0)
    numbers = 1000.0 + torch.randn(3, 50, 4, dtype=torch.float64) * torch.tensor([1.0, 2.0, 3.0, 0.0])
    found = RunningStatistics(3, (4,), "cpu")
    assert (found.variance == 1.0).all()
    for part in numbers.split((1, 7, 42), dim=1):
        found.add(part)
    torch.testing.assert_close(found.mean, numbers.mean(dim=1))
    torch.testing.assert_close(found.variance, numbers.var(dim=1, correction=0))
    assert found.count.tolist() == [50, 50, 50]


def worker_of(tmp_path: Any, agent: str, config: Any, env_steps: int) -> Worker[Any]:
    worker = build_worker(Run(tmp_path, agent, config))
    while worker.env_steps < env_steps:
        worker.advance(env_steps)
    return worker


def test_an_agent_acts_and_learns_on_the_scale_of_what_was_collected(tmp_path: Any) -> None:
    worker = worker_of(tmp_path, "ppo", PPO, 16)
    assert worker.updates == 0  # the first rollout has no scale
    while worker.env_steps < 48:
        worker.advance(48)
    assert worker.updates == 2
    agent = worker.learner
    assert isinstance(agent, Normalised)
    worker.source.collect()
    batch = worker.source.sample()
    for step in (0, 7):  # the rollout is learned from on the scale on which it was acted
        seen, began = agent.normaliser.batch(batch).observation[:, step], batch.began[:, step]
        again = agent.agent.act(seen, {}, began, torch.tensor(0), explore=True)
        torch.testing.assert_close(again.extras["value"], batch.extras["value"][:, step])
    scaled = agent.normaliser.batch(batch)
    scales = {name: scale.clone() for name, scale in agent.normaliser.state_dict().items() if "scale" in name}
    assert not torch.equal(scales["scale"][0], scales["scale"][1])  # each seed's own
    torch.testing.assert_close(scaled.reward * scales["reward_scale"].view(2, 1, 1), batch.reward)
    worker.evaluate()
    for name, scale in scales.items():
        assert torch.equal(scale, agent.normaliser.state_dict()[name]), name
    worker.close()


def test_the_first_rewards_of_a_task_that_gives_few_are_clipped_and_values_are_shown_in_its_rewards() -> None:
    normaliser = Normaliser(2, 1, (1,), torch.full((2,), 0.5), observations=False, rewards=True)
    no, seen = torch.zeros(2, 1, dtype=torch.bool), torch.zeros(2, 1, 1)
    for reward in (0.0, 4.0):
        step = torch.full((2, 1), reward)
        normaliser.add(Step(seen, seen, step * torch.tensor([[0.0], [1.0]]), no, no, ~no, ~no, no))
    normaliser.refresh()
    scale = normaliser.state_dict()["reward_scale"]
    assert scale.tolist() == pytest.approx([1e-4, 2.0])
    batch = Batch(seen, seen, torch.tensor([[-1.0], [4.0]]), torch.ones(2, 1), seen)
    assert normaliser.batch(batch).reward.flatten().tolist() == pytest.approx([-10.0, 2.0])
    thought = Diagnostics("V(s)", torch.ones(2, 1), "Q(s, a)", torch.ones(2, 1, 3))
    shown = normaliser.diagnostics(thought)
    assert shown.value is not None and torch.equal(shown.value, scale.unsqueeze(1))
    assert shown.scores is not None and torch.equal(shown.scores[:, 0, 2], scale)
    probable = normaliser.diagnostics(replace(thought, scores_are_probabilities=True)).scores
    assert probable is not None and torch.equal(probable, torch.ones(2, 1, 3))
    normaliser.abandon()
    assert not normaliser.state_dict()["return"].any()


def test_returns_begin_anew_with_each_episode() -> None:
    normaliser = Normaliser(1, 2, (1,), torch.tensor([0.5]), observations=False, rewards=True)
    no = torch.zeros(1, 2, dtype=torch.bool)
    ends = torch.tensor([[True, False]])
    seen = torch.zeros(1, 2, 1)
    for ended in (no, ends, no):
        normaliser.add(Step(seen, seen, torch.ones(1, 2), ended, no, ~ended, ~no, ended))
    normaliser.refresh()
    returns = torch.tensor([1.0, 1.5, 1.0, 1.0, 1.5, 1.75])
    expected = returns.std(correction=0)
    state = normaliser.state_dict()
    torch.testing.assert_close(state["reward_scale"], expected.view(1))
    assert state["scale"].tolist() == [[1.0]] and torch.equal(normaliser.observation(seen + 3.0), seen + 3.0)


@pytest.mark.parametrize(
    ("agent", "config"),
    [
        ("ppo", PPO),
        ("reinforce", ReinforceConfig(rollout_env_steps=16, **SMALL)),
        (
            "dqn",
            DQNConfig(
                **SMALL | {"env": "rlsuite/CartPole-v1"}, learning_starts_env_steps=16, replay_capacity=64, batch_size=4
            ),
        ),
    ],
)
def test_statistics_are_saved_and_go_on_exactly(agent: str, config: Any, tmp_path: Any) -> None:
    straight = worker_of(tmp_path, agent, config, 96)
    first = worker_of(tmp_path, agent, config, 48)
    second = build_worker(Run(tmp_path, agent, config))
    second.load_state_dict(first.state_dict())
    while second.env_steps < 96:
        second.advance(96)
    expected, found = (worker.state_dict()["learner"] for worker in (straight, second))
    assert straight.updates == second.updates > 0
    for name in ("mean", "scale", "reward_scale", "return"):
        assert torch.equal(expected["normaliser"][name], found["normaliser"][name]), name
    for worker in (straight, first, second):
        worker.close()


def test_statistics_of_another_space_are_refused_in_a_line(tmp_path: Any) -> None:
    worker = worker_of(tmp_path, "ppo", PPO, 16)
    other = build_worker(Run(tmp_path, "ppo", replace(PPO, env="rlsuite/MountainCarContinuous-v0")))
    with pytest.raises(StateError, match=r"the normaliser/observations/mean is float64 \[2, 3\], where .* \[2, 2\]"):
        other.learner.load_state_dict(worker.learner.state_dict())
    worker.close()
    other.close()


def test_pictures_have_their_scale_already(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="--normalise-observations is not for pictures"):
        build_worker(Run(tmp_path, "ppo", replace(PPO, env="rlsuite/MinAtar-Breakout-v0")))
