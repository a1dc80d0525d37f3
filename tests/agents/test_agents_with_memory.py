"""Agents with memory: what they remember while they act is what they learn from, and what cannot be is refused."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.ppo import PPO, PPOConfig
from agents.r2d2 import R2D2, R2D2Config
from agents.reinforce import Reinforce, ReinforceConfig
from agents.runs.building import build_worker
from agents.runs.run import Run
from rlsuite.replay.rollout import next_outputs, windows

# Its episodes are cut after seven steps, or end; what the environment of tensors does in the same step, this one does
# in a step of its own.
gymnasium.register("brief/CartPole-v2", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=7)
ENVIRONMENTS = {
    "on tensors": {"env": "rlsuite/PositionOnlyCartPole-v1", "max_episode_steps": 7},
    "on the host": {"env": "brief/CartPole-v2"},
}
SMALL = {"hidden": (16,), "seeds": 2, "num_envs": 3, "threads": 1, "execution": "eager", "memory_units": 8}
ROLLOUT = {"rollout_env_steps": 96, "bptt_env_steps": 16}
VECTORS = Box(-1.0, 1.0, (4,), np.float32)


def collected(agent, config, folder, env_steps):
    worker = build_worker(Run(folder, agent, config))
    while worker.env_steps < env_steps:
        worker.source.collect()
        worker.source.finish_round()
    return worker.learner, worker.source.experience


@pytest.mark.parametrize(("memory", "environment"), [("gru", "on tensors"), ("lstm", "on the host")])
def test_windows_of_a_rollout_give_what_acting_gave(memory, environment, tmp_path):
    """From the memory stored at the start of a window, across the ends of episodes and the starts of rollouts."""
    config = PPOConfig(memory=memory, minibatches=3, **ROLLOUT, **ENVIRONMENTS[environment], **SMALL)
    agent, rollout = collected("ppo", config, tmp_path, 3 * 96)
    batch = rollout.sample(None)
    assert batch.ended.any() and not batch.began[:, 0].all()  # an episode goes on from the rollout before
    seen, began, value, memories = (
        windows(steps, 16) for steps in (batch.observation, batch.began, batch.extras["value"], batch.extras["memory"])
    )
    outputs, found, after = agent._outputs(seen, began, memories[:, :, 0])
    torch.testing.assert_close(found, value.flatten(1, 2), rtol=1e-5, atol=1e-6)
    log_prob = agent.distribution.log_prob(outputs, windows(batch.action, 16).flatten(1, 2))
    torch.testing.assert_close(log_prob, windows(batch.extras["log_prob"], 16).flatten(1, 2), rtol=1e-5, atol=1e-6)
    # The memory after a window is the one that the next begins with: windows of an environment are 3 apart.
    torch.testing.assert_close(after[:, :-3], memories[:, 3:, 0], rtol=1e-5, atol=1e-6)
    assert memories.abs().max() > 0.01


def test_the_baseline_remembers_too(tmp_path):
    config = ReinforceConfig(memory="gru", **ROLLOUT, **ENVIRONMENTS["on tensors"], **SMALL)
    agent, rollout = collected("reinforce", config, tmp_path, 2 * 96)
    batch = rollout.sample(None)
    for network, name in ((agent.policy, "memory"), (agent.baseline, "baseline_memory")):
        memories = windows(batch.extras[name], 16)[:, :, 0]
        _, after = network(windows(batch.observation, 16), memories, windows(batch.began, 16))
        torch.testing.assert_close(after[:, :-3], memories[:, 3:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [PPO, Reinforce])
def test_the_value_after_a_step_is_that_of_the_next_one(kind, tmp_path):
    """Where an episode goes on, the critic says of the next observation what it says when it comes to it."""
    config = {PPO: PPOConfig, Reinforce: ReinforceConfig}[kind](
        memory="gru", **ROLLOUT, **ENVIRONMENTS["on the host"], **SMALL
    )
    config = replace(config, minibatches=1) if kind is PPO else config
    agent, rollout = collected(kind.__name__.lower(), config, tmp_path, 96)
    batch = rollout.sample(None)
    if kind is PPO:
        value, following = batch.extras["value"], next_outputs(agent.network, batch)[..., -1]
    else:
        steps = [windows(steps, 1) for steps in (batch.observation, batch.began, batch.extras["baseline_memory"])]
        value = agent.baseline(steps[0], steps[2][:, :, 0], steps[1])[0].view_as(batch.reward)
        following = agent._next_value(batch)
    goes_on = (batch.valid & ~batch.ended)[:, :-1]
    found = following[:, :-1]
    torch.testing.assert_close(found[goes_on], value[:, 1:][goes_on], rtol=1e-5, atol=1e-6)
    assert (found != value[:, 1:])[~goes_on].any()  # the last observation of an episode is another than the next one's


@pytest.mark.parametrize(("memory", "environment"), [("gru", "on tensors"), ("lstm", "on the host")])
def test_sequences_give_what_acting_gave(memory, environment, tmp_path):
    sequences = {"burn_in_env_steps": 0, "sequence_env_steps": 7, "n_step": 1, "sequence_period_env_steps": 4}
    config = R2D2Config(memory=memory, **sequences, **ENVIRONMENTS[environment], **SMALL)
    agent, replay = collected("r2d2", config, tmp_path, 150)
    count = int(replay.size.min()) // 3
    batch = replay.store.read(replay.store.slot(torch.arange(count).expand(2, -1)))  # those of the first environment
    assert (~batch.valid).any() and count > 5
    period = config.sequence_period_env_steps
    before = (part[:, :, :period] for part in (batch.observation, batch.began))
    observation, began = before
    _, after = agent.network(observation, batch.extras["memory"], began)
    # Where a window begins with an episode's last observation or its first, the stored memory is not used.
    used = batch.valid[:, 1:, 0] & ~batch.began[:, 1:, 0]
    assert used.float().mean() > 0.3
    torch.testing.assert_close(after[:, :-1][used], batch.extras["memory"][:, 1:][used], rtol=1e-5, atol=1e-6)


def test_compiled_acting_remembers_what_eager_acting_does():
    """Compilers trace the cells by their definition, one step after the other."""
    config = PPOConfig(env="-", memory="gru", memory_units=8, hidden=(16,), num_envs=4)
    agent = PPO(config, VECTORS, Discrete(3), [0, 1])
    compiled = torch.compile(agent.act, backend="aot_eager")
    state, began = agent.initial_state(3), torch.tensor([[True, False, True], [False, True, False]])
    for step in range(3):
        seen, clock = torch.randn(2, 3, 4), torch.tensor(step)
        expected, found = (act(seen, state, began, clock, explore=False) for act in (agent.act, compiled))
        torch.testing.assert_close(found._asdict(), expected._asdict(), rtol=1e-5, atol=1e-6)
        state = expected.state
    assert state["memory"].abs().max() > 0.01


@pytest.mark.parametrize("name", ["square-root", "logarithm"])
def test_rescaled_values_come_back(name):
    agent = R2D2(R2D2Config(env="-", value_rescaling=name), VECTORS, Discrete(2), [0])
    x = torch.tensor([-500.0, -3.0, -1.0, 0.0, 0.25, 8.0, 1e4], dtype=torch.float64)
    torch.testing.assert_close(agent.to_returns(agent.from_returns(x)), x)
    at_8 = {"square-root": 2.0 + 0.008, "logarithm": float(np.log(9.0))}[name]
    assert agent.from_returns(x)[5].item() == pytest.approx(at_8)
    assert agent.from_returns(-x).equal(-agent.from_returns(x))


def test_environments_explore_differently_where_epsilon_is_spread():
    agent = R2D2(R2D2Config(env="-", epsilon_end=(0.5,), epsilon_spread=7.0), VECTORS, Discrete(1_000), [0, 1])
    num_envs, began = 3, torch.ones(2, 3, dtype=torch.bool)
    seen, state = torch.randn(2, num_envs, 4), agent.initial_state(num_envs)
    greedy = agent.act(seen, state, began, torch.tensor(0), explore=False).action
    acted = [agent.act(seen, state, began, torch.tensor(10**6 + step), explore=True).action for step in range(150)]
    explored = (torch.stack(acted) != greedy).float().mean(dim=(0, 1))
    assert explored.tolist() == pytest.approx([0.5, 0.5**4.5, 0.5**8], abs=0.09)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (PPOConfig, {"bptt_env_steps": 5}, r"--bptt-env-steps 5 does not divide the 32 env steps"),
        (
            PPOConfig,
            {"minibatches": 4},
            r"--minibatches 4 does not divide the 3 windows of 32 env steps of a rollout: 3 would",
        ),
        (ReinforceConfig, {"bptt_env_steps": 64}, r"--bptt-env-steps 64 does not divide the 32 env steps"),
    ],
)
def test_windows_that_do_not_fit_a_rollout_are_refused(kind, options, message):
    config = kind(env="-", memory="gru", num_envs=3, rollout_env_steps=96, **options)
    agent = {PPOConfig: PPO, ReinforceConfig: Reinforce}[kind]
    with pytest.raises(ValueError, match=message):
        agent(config, VECTORS, Discrete(2), [0])
