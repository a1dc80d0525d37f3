"""The agents made of DQN's choices: each learns which action is best, and what cannot be chosen is refused."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.c51 import C51, C51Config
from agents.dqn import DQNConfig
from agents.iqn import IQN, IQNConfig
from agents.munchausen import Munchausen, MunchausenConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.rainbow import Rainbow, RainbowConfig
from rlsuite.experience import Batch

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
