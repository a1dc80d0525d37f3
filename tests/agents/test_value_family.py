"""The agents made of DQN's choices: each learns which action is best, and what cannot be chosen is refused."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.c51 import C51, C51Config
from agents.cli.train import parse
from agents.dqn import DQNConfig
from agents.iqn import IQN, IQNConfig
from agents.munchausen import Munchausen, MunchausenConfig
from agents.pqn import PQN, PQNConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.rainbow import Rainbow, RainbowConfig
from rlsuite.experience import Batch
from rlsuite.faults import raised_by_us
from rlsuite.replay.rollout import RolloutBatch

STATES = Box(-1.0, 1.0, (1,), np.float32)
QUICK = {"env": "-", "hidden": (32,), "learning_rate": (1e-2,), "target_period_updates": 10}
SUPPORT = {"atoms": 21, "support_low": -2.0, "support_high": 4.0}
AGENTS = {
    "c51": (C51, C51Config(**QUICK, **SUPPORT)),
    "qr-dqn": (QRDQN, QRDQNConfig(**QUICK, quantiles=11)),
    "iqn": (IQN, IQNConfig(**QUICK, quantile_samples=8, acting_quantiles=8, cosines=8)),
    "munchausen": (Munchausen, MunchausenConfig(**QUICK)),
    "munchausen c51": (Munchausen, MunchausenConfig(**QUICK, **SUPPORT, distribution="c51")),
    "rainbow": (Rainbow, RainbowConfig(**QUICK, **SUPPORT)),
}


def transitions(number, size=64):
    """Where the state is above 0 action 1 is right, else action 0; the right one gives 1, and one more step is due."""
    torch.manual_seed(number)
    state, following = (torch.rand(1, size, 1) * 2 - 1 for _ in range(2))
    action = torch.randint(0, 2, (1, size))
    right = (action == (state[..., 0] > 0).long()).float()
    return Batch(state, action, right, torch.full((1, size), 0.5), following, {"weight": torch.ones(1, size)})


@pytest.mark.parametrize("name", AGENTS)
def test_the_value_of_the_right_action_is_learned(name):
    kind, config = AGENTS[name]
    agent = kind(config, STATES, Discrete(2), [0])
    for number in range(150):
        metrics, priority = agent.update(transitions(number))
    assert priority.shape == (1, 64) and (priority >= 0).all() and metrics["loss/td"].isfinite().all()
    values = agent.values(torch.tensor([[[-0.6], [0.6]]]))[0]
    # With discount 0.5 the right action is worth 1 / (1 - 0.5) = 2, the wrong one 1.
    expected = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    if "munchausen" in name:  # whose bonus for the wrong one lowers it to 1 - 0.9
        expected = torch.tensor([[2.0, 0.1], [0.1, 2.0]])
    torch.testing.assert_close(values, expected, atol=0.45, rtol=0.0)


@pytest.mark.parametrize(("kind", "config"), [(C51, C51Config), (Rainbow, RainbowConfig)])
@pytest.mark.parametrize("support", [(-10.0, 40.0), (-300.0, 300.0), (0.0, 100.0), (-100.0, 0.0)])
def test_values_begin_near_zero_however_wide_the_support(kind, config, support):
    low, high = support
    agent = kind(config(env="-", support_low=low, support_high=high), STATES, Discrete(3), [0, 1])
    spacing = (high - low) / 50
    assert (agent.values(torch.rand(2, 64, 1)).abs() < 2 * spacing).all()


def test_noise_explores_and_is_not_evaluated():
    kind, config = AGENTS["rainbow"]
    agent = kind(config, STATES, Discrete(2), [0])
    seen, began = torch.linspace(-1.0, 1.0, 64).view(1, 64, 1), torch.zeros(1, 64, dtype=torch.bool)
    acted = [agent.act(seen, {}, began, torch.tensor(k), explore=True).action for k in range(20)]
    assert len({tuple(actions.flatten().tolist()) for actions in acted}) > 1
    again = agent.act(seen, {}, began, torch.tensor(3), explore=True).action
    assert torch.equal(acted[3], again)
    evaluated = [agent.act(seen, {}, began, torch.tensor(k), explore=False).action for k in range(20)]
    assert all(torch.equal(actions, agent.values(seen).argmax(-1)) for actions in evaluated)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"support_low": 10.0, "support_high": -10.0}, "--support-low 10 must be below --support-high -10"),
        ({"support_low": 1.0, "support_high": 1.0}, "--support-low 1 must be below --support-high 1"),
        ({"atoms": 1}, "--atoms must be at least 2, not 1"),
        ({"quantiles": 0}, "--quantiles must be at least 1, not 0"),
        ({"replay_priority_exponent": 1.5}, "--replay-priority-exponent must be at least 0 and at most 1, not 1.5"),
        (
            {"replay_importance_exponent": -0.1},
            "--replay-importance-exponent must be at least 0 and at most 1, not -0.1",
        ),
        ({"target_rule": "munchausen", "n_step": 3}, "--target-rule munchausen gives every step a reward of its own"),
        ({"munchausen_lowest": 1.0}, "--munchausen-lowest must be at least"),
        ({"noise_scale": -0.5}, "--noise-scale must be at least 0, not -0.5"),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(options, said):
    with pytest.raises(ValueError) as error:
        DQNConfig(env="-", **options)
    assert said in str(error.value)


def test_a_command_line_that_cannot_be_is_no_internal_fault():
    with pytest.raises(ValueError, match="--support-low 10 must be below") as error:
        parse(["c51", "--env", "CartPole-v1", "--support-low", "10", "--support-high", "-10"])
    assert raised_by_us(error.tb)


def rollout(number, steps=16, num_envs=8):
    """The task of ``transitions`` as a rollout, whose steps are all followed by others."""
    one = transitions(number, steps * num_envs)
    axes = (1, steps, num_envs)
    state = one.observation.view(1, steps, num_envs, 1)
    never = torch.zeros(axes, dtype=torch.bool)
    return RolloutBatch(
        observation=state,
        action=one.action.view(axes),
        reward=one.reward.view(axes),
        next_observation=torch.cat([state[:, 1:], state[:, :1]], dim=1),
        ended=never,
        bootstrap=~never,
        valid=~never,
        began=never,
    )


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_pqn_learns_the_value_of_the_right_action(memory):
    options = {"epochs": 2, "minibatches": 2, "num_envs": 8, "rollout_env_steps": 128, "memory": memory}
    config = PQNConfig(
        env="-", hidden=(32,), discount=(0.5,), trace=0.0, learning_rate=(1e-2,), bptt_env_steps=4, **options
    )
    agent = PQN(config, STATES, Discrete(2), [0])
    for number in range(40):
        batch = rollout(number)
        batch.extras.update(
            {name: state.unsqueeze(1).expand(1, 16, 8, -1) for name, state in agent.initial_state(8).items()}
        )
        metrics = agent.update(batch)
    assert metrics["loss/td"].isfinite().all()
    seen, began = torch.tensor([[[-0.6], [0.6]]]), torch.ones(1, 2, dtype=torch.bool)
    acted = agent.act(seen, agent.initial_state(2), began, torch.tensor(0), explore=False)
    values = agent.diagnose(seen, agent.initial_state(2), acted).scores[0]
    assert acted.action.tolist() == [[0, 1]]
    torch.testing.assert_close(values, torch.tensor([[2.0, 1.0], [1.0, 2.0]]), atol=0.45, rtol=0.0)


def test_pqn_needs_minibatches_that_divide_a_rollout():
    with pytest.raises(
        ValueError, match="--minibatches 3 does not divide the 128 env steps of a rollout: 2 and 4 would"
    ):
        PQN(PQNConfig(env="-", num_envs=8, rollout_env_steps=128, minibatches=3), STATES, Discrete(2), [0])
