"""What holds for every agent: seed k of S equals seed k alone, states restore, compiled equals eager."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from agents.configs import DDPGConfig, DQNConfig, ReinforceConfig
from agents.ddpg import DDPG
from agents.dqn import DQN
from agents.reinforce import Reinforce
from rlsuite.experience import Batch
from rlsuite.replay.rollout import RolloutBatch

VECTORS = Box(-1.0, 1.0, (4,), np.float32)
PIXELS = Box(0, 255, (4, 10, 10), np.uint8)
ARM = Box(np.array([-2.0, -1.0], np.float32), np.array([2.0, 3.0], np.float32))
HIDDEN = (32, 32)

CASES = {
    "dqn": (DQN, DQNConfig(env="-", hidden=HIDDEN, target_period_updates=7), VECTORS, Discrete(3)),
    "dqn dueling": (DQN, DQNConfig(env="-", hidden=HIDDEN, dueling=True, loss="mse"), VECTORS, Discrete(3)),
    "dqn averaging": (
        DQN,
        DQNConfig(env="-", hidden=HIDDEN, target_averaging=0.01, double=False),
        VECTORS,
        Discrete(3),
    ),
    "dqn pixels": (DQN, DQNConfig(env="-"), PIXELS, Discrete(3)),
    "ddpg": (DDPG, DDPGConfig(env="-", hidden=HIDDEN), VECTORS, ARM),
    "ddpg delayed": (DDPG, DDPGConfig(env="-", hidden=HIDDEN, actor_period_updates=2), VECTORS, ARM),
    "ddpg pixels": (DDPG, DDPGConfig(env="-", hidden=HIDDEN), PIXELS, ARM),
    "reinforce": (Reinforce, ReinforceConfig(env="-", hidden=HIDDEN), VECTORS, Discrete(3)),
    "reinforce gaussian": (Reinforce, ReinforceConfig(env="-", hidden=HIDDEN, baseline="none"), VECTORS, ARM),
}


def observations(space, *axes):
    if space.dtype == np.uint8:
        return torch.randint(0, 2, (*axes, *space.shape), dtype=torch.uint8)
    return torch.randn(*axes, *space.shape)


def batches(kind, seeds, observation_space, action_space, count, size=8):
    """The same batches for every population that is asked for: row k belongs to seed k."""
    made = []
    for number in range(count):
        torch.manual_seed(number)
        axes = (seeds, size)
        discrete = isinstance(action_space, Discrete)
        action = torch.randint(0, 3, axes) if discrete else torch.rand(*axes, 2) * 2 - 1
        if kind is Reinforce:
            rollout_axes = (seeds, size // 2, 2)
            ended = torch.rand(rollout_axes) < 0.2
            made.append(
                RolloutBatch(
                    observation=observations(observation_space, *rollout_axes),
                    action=action.reshape(*rollout_axes, *action.shape[2:]),
                    reward=torch.randn(rollout_axes),
                    successor=observations(observation_space, *rollout_axes),
                    ended=ended,
                    bootstrap=~ended | (torch.rand(rollout_axes) < 0.5),
                    valid=torch.ones(rollout_axes, dtype=torch.bool),
                )
            )
        else:
            made.append(
                Batch(
                    observation=observations(observation_space, *axes),
                    action=action,
                    reward=torch.randn(axes),
                    discount=torch.full(axes, 0.99),
                    next_observation=observations(observation_space, *axes),
                )
            )
    return made


def row(batch, k):
    return replace(batch, **{name: value[k : k + 1] for name, value in vars(batch).items()})


def flat(state):
    tensors = {}
    for name, value in state.items():
        if isinstance(value, dict):
            tensors |= {f"{name}/{inner}": tensor for inner, tensor in flat(value).items()}
        elif isinstance(value, torch.Tensor):
            tensors[name] = value
    return tensors


@pytest.mark.parametrize("name", CASES)
def test_seed_k_of_s_learns_to_the_last_bit_what_it_learns_alone(name):
    kind, config, observation_space, action_space = CASES[name]
    updates = 20 if "pixels" in name else 1_000 if name in ("dqn", "ddpg") else 100
    together = kind(config, observation_space, action_space, [5, 3, 8])
    alone = kind(config, observation_space, action_space, [3])
    for batch in batches(kind, 3, observation_space, action_space, updates):
        together.update(batch)
        alone.update(row(batch, 1))
    for key, tensor in flat(together.state_dict()).items():
        if tensor.shape[:1] == (3,):
            assert torch.equal(tensor[1], flat(alone.state_dict())[key][0]), key


@pytest.mark.parametrize("num_envs", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_seed_k_of_s_acts_as_it_acts_alone(name, num_envs):
    kind, config, observation_space, action_space = CASES[name]
    together = kind(config, observation_space, action_space, [5, 3, 8])
    alone = kind(config, observation_space, action_space, [3])
    torch.manual_seed(0)
    seen = observations(observation_space, 3, num_envs)
    began = torch.ones(3, num_envs, dtype=torch.bool)
    for env_step in (0, 1, 20_000):
        clock = torch.tensor(env_step)
        for explore in (True, False):
            expected = alone.act(seen[1:2], clock, began[1:2], explore=explore)[0]
            acted = together.act(seen, clock, began, explore=explore)
            assert torch.equal(acted[1], expected)
            assert all(
                action_space.contains(action.numpy().astype(action_space.dtype)) for action in acted.flatten(0, 1)
            )


@pytest.mark.parametrize("name", CASES)
def test_a_restored_agent_goes_on_bit_for_bit(name):
    kind, config, observation_space, action_space = CASES[name]
    made = batches(kind, 2, observation_space, action_space, 12)
    straight, first, second = (kind(config, observation_space, action_space, [0, 1]) for _ in range(3))
    for batch in made:
        straight.update(batch)
    for batch in made[:6]:
        first.update(batch)
    second.load_state_dict({k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in first.state_dict().items()})
    for batch in made[6:]:
        second.update(batch)
    for key, tensor in flat(straight.state_dict()).items():
        assert torch.equal(tensor, flat(second.state_dict())[key]), key


@pytest.mark.parametrize(
    ("kind", "config", "space", "needs"),
    [
        (DQN, DQNConfig(env="-"), ARM, "dqn needs a Discrete action space"),
        (DQN, DQNConfig(env="-"), MultiDiscrete([2, 3]), "dqn needs a Discrete action space"),
        (DDPG, DDPGConfig(env="-"), Discrete(3), "ddpg needs a bounded Box"),
        (DDPG, DDPGConfig(env="-"), Box(-np.inf, np.inf, (2,)), "ddpg needs a bounded Box"),
        (Reinforce, ReinforceConfig(env="-"), MultiDiscrete([2, 3]), "reinforce needs a Discrete or one-axis Box"),
    ],
)
def test_spaces_an_agent_cannot_act_in_are_named(kind, config, space, needs):
    with pytest.raises(ValueError, match=needs) as error:
        kind(config, VECTORS, space, [0])
    assert str(space) in str(error.value)


def test_learning_rates_are_one_or_one_for_each_seed():
    config = DQNConfig(env="-", hidden=HIDDEN, learning_rate=(1e-3, 1e-4))
    with pytest.raises(ValueError, match="learning_rate has 2 values for 3 seeds: give 1 or 3"):
        DQN(config, VECTORS, Discrete(3), [0, 1, 2])
