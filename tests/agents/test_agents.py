"""What holds for every agent: seed k of S equals seed k alone, states restore, compiled equals eager."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Tuple

from agents.a2c import A2C, A2CConfig
from agents.alphazero import AlphaZero, AlphaZeroConfig
from agents.c51 import C51, C51Config
from agents.ddpg import DDPG, DDPGConfig
from agents.dqn import DQN, DQNConfig
from agents.iqn import IQN, IQNConfig
from agents.munchausen import Munchausen, MunchausenConfig
from agents.ppo import PPO, PPOConfig
from agents.pqn import PQN, PQNConfig
from agents.qr_dqn import QRDQN, QRDQNConfig
from agents.r2d2 import R2D2, R2D2Config
from agents.rainbow import Rainbow, RainbowConfig
from agents.reinforce import Reinforce, ReinforceConfig
from agents.sac import SAC, SACConfig
from agents.td3 import TD3, TD3Config
from rlsuite.agent import extras_of
from rlsuite.experience import Batch
from rlsuite.replay.rollout import RolloutBatch
from rlsuite.replay.sequence_store import SequenceBatch

VECTORS = Box(-1.0, 1.0, (4,), np.float32)
PIXELS = Box(0, 255, (4, 10, 10), np.uint8)
TIC_TAC_TOE = Box(0, 1, (2, 3, 3), np.uint8)
ARM = Box(np.array([-2.0, -1.0], np.float32), np.array([2.0, 3.0], np.float32))
HIDDEN = (32, 32)
SMALL_ROLLOUT = {"num_envs": 2, "rollout_env_steps": 8, "epochs": 2, "minibatches": 2}
SMALL_MEMORY = {"memory": "gru", "memory_units": 8, "bptt_env_steps": 2}
SMALL_SEQUENCE = {"burn_in_env_steps": 2, "sequence_env_steps": 3, "n_step": 2, "target_period_updates": 7}

CASES = {
    "dqn": (DQN, DQNConfig(env="-", hidden=HIDDEN, target_period_updates=7), VECTORS, Discrete(3)),
    "dqn dueling": (DQN, DQNConfig(env="-", hidden=HIDDEN, dueling=True, loss="mse"), VECTORS, Discrete(3)),
    "dqn averaging": (
        DQN,
        DQNConfig(env="-", hidden=HIDDEN, tau=0.01, target_rule="one-step"),
        VECTORS,
        Discrete(3),
    ),
    "dqn pixels": (DQN, DQNConfig(env="-"), PIXELS, Discrete(3)),
    "dqn pixels lenet": (DQN, DQNConfig(env="-", encoder="lenet-5"), PIXELS, Discrete(3)),
    "c51": (C51, C51Config(env="-", hidden=HIDDEN, atoms=11, target_period_updates=7), VECTORS, Discrete(3)),
    "qr-dqn": (QRDQN, QRDQNConfig(env="-", hidden=HIDDEN, quantiles=9, dueling=True), VECTORS, Discrete(3)),
    "iqn": (IQN, IQNConfig(env="-", hidden=HIDDEN, quantile_samples=8, cosines=16), VECTORS, Discrete(3)),
    "munchausen": (Munchausen, MunchausenConfig(env="-", hidden=HIDDEN), VECTORS, Discrete(3)),
    "munchausen iqn": (
        Munchausen,
        MunchausenConfig(env="-", hidden=HIDDEN, distribution="iqn", quantile_samples=8),
        VECTORS,
        Discrete(3),
    ),
    "rainbow": (Rainbow, RainbowConfig(env="-", hidden=HIDDEN, atoms=11), VECTORS, Discrete(3)),
    "ddpg": (DDPG, DDPGConfig(env="-", hidden=HIDDEN), VECTORS, ARM),
    "ddpg pixels": (DDPG, DDPGConfig(env="-", hidden=HIDDEN), PIXELS, ARM),
    "td3": (TD3, TD3Config(env="-", hidden=HIDDEN, max_gradient_norm=1.0), VECTORS, ARM),
    "sac": (SAC, SACConfig(env="-", hidden=HIDDEN), VECTORS, ARM),
    "sac discrete": (SAC, SACConfig(env="-", hidden=HIDDEN, max_gradient_norm=1.0), VECTORS, Discrete(3)),
    "sac pixels": (SAC, SACConfig(env="-", hidden=HIDDEN), PIXELS, ARM),
    "reinforce": (Reinforce, ReinforceConfig(env="-", hidden=HIDDEN), VECTORS, Discrete(3)),
    "reinforce gaussian": (Reinforce, ReinforceConfig(env="-", hidden=HIDDEN, baseline="none"), VECTORS, ARM),
    "reinforce multi-discrete": (Reinforce, ReinforceConfig(env="-", hidden=HIDDEN), VECTORS, MultiDiscrete([3, 4])),
    "ppo": (PPO, PPOConfig(env="-", hidden=HIDDEN, **SMALL_ROLLOUT), VECTORS, Discrete(3)),
    "ppo near": (
        PPO,
        PPOConfig(env="-", hidden=HIDDEN, **SMALL_ROLLOUT, value_clip=0.2, max_kl=0.01, standardise=False),
        VECTORS,
        Discrete(3),
    ),
    "a2c": (A2C, A2CConfig(env="-", hidden=HIDDEN, num_envs=2, rollout_env_steps=8), VECTORS, ARM),
    "ppo gaussian": (PPO, PPOConfig(env="-", hidden=HIDDEN, **SMALL_ROLLOUT), VECTORS, ARM),
    "ppo multi-binary": (PPO, PPOConfig(env="-", hidden=HIDDEN, **SMALL_ROLLOUT), VECTORS, MultiBinary(2)),
    "ppo memory": (PPO, PPOConfig(env="-", hidden=HIDDEN, **SMALL_MEMORY, **SMALL_ROLLOUT), VECTORS, Discrete(3)),
    "pqn": (PQN, PQNConfig(env="-", hidden=HIDDEN, **SMALL_ROLLOUT), VECTORS, Discrete(3)),
    "pqn pixels": (PQN, PQNConfig(env="-", **SMALL_ROLLOUT), PIXELS, Discrete(3)),
    "pqn memory": (PQN, PQNConfig(env="-", hidden=HIDDEN, **SMALL_MEMORY, **SMALL_ROLLOUT), VECTORS, Discrete(3)),
    "reinforce memory": (
        Reinforce,
        ReinforceConfig(env="-", hidden=HIDDEN, memory="lstm", memory_units=8, num_envs=2, rollout_env_steps=8),
        VECTORS,
        ARM,
    ),
    "alphazero": (AlphaZero, AlphaZeroConfig(env="rlsuite/TicTacToe-v0", simulations=5), TIC_TAC_TOE, Discrete(9)),
    "r2d2": (R2D2, R2D2Config(env="-", hidden=HIDDEN, memory_units=8, **SMALL_SEQUENCE), VECTORS, Discrete(3)),
    "r2d2 lstm": (
        R2D2,
        R2D2Config(env="-", hidden=HIDDEN, memory_units=8, memory="lstm", **SMALL_SEQUENCE),
        VECTORS,
        Discrete(3),
    ),
}


def observations(space, *axes):
    if space.dtype == np.uint8:
        return torch.randint(0, 2, (*axes, *space.shape), dtype=torch.uint8)
    return torch.randn(*axes, *space.shape)


def batches(name, seeds, count, size=8):
    """The same batches for every population that is asked for: row k belongs to seed k."""
    kind, config, observation_space, action_space = CASES[name]
    extras = extras_of(kind(config, observation_space, action_space, [0]))
    made = []
    for number in range(count):
        torch.manual_seed(number)
        if kind in (Reinforce, PPO, A2C, PQN):
            axes, leading = (seeds, size // 2, 2), 3
        elif kind is R2D2:
            axes, leading = (seeds, 4, config.sequence_rows), 2
        else:
            axes, leading = (seeds, size), 2
        if isinstance(action_space, Box):
            action = torch.rand(*axes, 2) * 2 - 1
        else:
            action = torch.randint(0, 2, (*axes, *action_space.shape))
        ended = torch.rand(axes) < 0.2
        bootstrap = ~ended | (torch.rand(axes) < 0.5)
        common = {
            "observation": observations(observation_space, *axes),
            "action": action,
            "reward": torch.randn(axes),
            "extras": {key: torch.randn(*axes[:leading], *spec.shape) for key, spec in extras.items()},
        }
        began = torch.rand(axes) < 0.2
        valid = torch.ones(axes, dtype=torch.bool)
        if kind in (Reinforce, PPO, A2C, PQN):
            next_observation = observations(observation_space, *axes)
            made.append(
                RolloutBatch(
                    **common,
                    next_observation=next_observation,
                    ended=ended,
                    bootstrap=bootstrap,
                    valid=valid,
                    began=began,
                )
            )
        elif kind is R2D2:
            made.append(SequenceBatch(**common, bootstrap=bootstrap, valid=~ended, began=began))
        else:
            following = observations(observation_space, *axes)
            made.append(Batch(**common, discount=torch.full(axes, 0.99), next_observation=following))
    return made


def row(batch, k):
    def own(value):
        return {n: own(v) for n, v in value.items()} if isinstance(value, dict) else value[k : k + 1]

    return replace(batch, **own(vars(batch)))


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
    updates = 10 if "memory" in name else 20 if "pixels" in name else 200 if name in ("dqn", "ddpg") else 30
    together = kind(config, observation_space, action_space, [5, 3, 8])
    alone = kind(config, observation_space, action_space, [3])
    for batch in batches(name, 3, updates):
        together.update(batch)
        alone.update(row(batch, 1))
    for key, tensor in flat(together.state_dict()).items():
        assert torch.equal(tensor[1], flat(alone.state_dict())[key][0]), key


def test_a_resnet_learns_and_acts_without_regard_to_its_batch():
    agent = DQN(DQNConfig(env="-", encoder="resnet-18"), PIXELS, Discrete(3), [0])
    (batch,) = batches("dqn pixels", 1, 1, size=4)
    before = agent.network.parameters.clone()
    metrics = agent.update(batch)
    assert metrics["loss/td"].isfinite().all() and not torch.equal(agent.network.parameters, before)
    values = agent.network(batch.observation)
    torch.testing.assert_close(agent.network(batch.observation[:, :1]), values[:, :1], rtol=1e-4, atol=1e-4)


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
            expected = alone.act(seen[1:2], alone.initial_state(num_envs), began[1:2], clock, explore=explore).action[0]
            acted = together.act(seen, together.initial_state(num_envs), began, clock, explore=explore).action
            assert torch.equal(acted[1], expected)
            assert all(
                action_space.contains(action.numpy().astype(action_space.dtype)) for action in acted.flatten(0, 1)
            )


@pytest.mark.parametrize("name", CASES)
def test_a_restored_agent_goes_on_bit_for_bit(name):
    kind, config, observation_space, action_space = CASES[name]
    made = batches(name, 2, 12)
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
        (TD3, TD3Config(env="-"), Discrete(3), "td3 needs a bounded Box"),
        (SAC, SACConfig(env="-"), MultiDiscrete([2, 3]), "sac needs a bounded Box or Discrete"),
        (SAC, SACConfig(env="-"), Box(-np.inf, np.inf, (2,)), "sac needs a bounded Box or Discrete"),
        (Reinforce, ReinforceConfig(env="-"), Tuple([Discrete(2)]), "reinforce needs a Discrete, MultiDiscrete"),
        (PPO, PPOConfig(env="-"), Tuple([Discrete(2)]), "ppo needs a Discrete, MultiDiscrete"),
        (R2D2, R2D2Config(env="-"), ARM, "r2d2 needs a Discrete"),
        (Rainbow, RainbowConfig(env="-"), ARM, "rainbow needs a Discrete"),
        (PQN, PQNConfig(env="-"), ARM, "pqn needs a Discrete"),
    ],
)
def test_spaces_an_agent_cannot_act_in_are_named(kind, config, space, needs):
    with pytest.raises(ValueError, match=needs) as error:
        kind(config, VECTORS, space, [0])
    assert str(space) in str(error.value)


def test_learning_rates_are_one_or_one_for_each_seed():
    config = DQNConfig(env="-", hidden=HIDDEN, learning_rate=(1e-3, 1e-4))
    with pytest.raises(ValueError, match="--learning-rate has 2 values for 3 seeds: give 1 or 3"):
        DQN(config, VECTORS, Discrete(3), [0, 1, 2])
    with pytest.raises(ValueError, match="--learning-rate has 2 values for 1 seed: give 1, or --seeds 2"):
        DQN(config, VECTORS, Discrete(3), [0])


def test_methods_do_not_know_what_runs_them():
    for path in (Path(__file__).parents[2] / "agents").glob("*.py"):
        assert "agents.runs" not in path.read_text() or path.name == "__init__.py", path
