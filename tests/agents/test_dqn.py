import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.dqn import DQN, DQNConfig
from rlsuite.configuration import from_json
from rlsuite.experience import Batch
from rlsuite.training.exploration import epsilon_now

SPACE = Box(-1.0, 1.0, (2,), np.float32)


def agent(seeds=(0,), **options):
    return DQN(DQNConfig(env="-", hidden=(8,), **options), SPACE, Discrete(2), seeds)


def linear(dqn, online, target):
    """Make Q(s, a) = (W s)[a] with weights ``online`` and ``target``, through the two ReLUs of +x and -x."""
    for parameters, weights in ((dqn.online, online), (dqn.target.mean, target)):
        named = dqn.network.named(parameters)
        (w1, b1, w2, b2) = named.values()
        for tensor in (w1, b1, w2, b2):
            tensor.zero_()
        w1[0, 0, 0] = w1[0, 1, 1] = 1.0
        w1[0, 2, 0] = w1[0, 3, 1] = -1.0
        w2[0, :, :2], w2[0, :, 2:4] = torch.tensor(weights), -torch.tensor(weights)


BATCH = Batch(
    observation=torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]),
    action=torch.tensor([[0, 1]]),
    reward=torch.tensor([[1.0, -1.0]]),
    discount=torch.tensor([[0.5, 0.0]]),
    next_observation=torch.tensor([[[0.0, 2.0], [3.0, 0.0]]]),
)
ONLINE = [[1.0, 2.0], [0.5, -1.0]]  # in the first next state action 0 looks best: 4 against -2
TARGET = [[1.0, 1.0], [2.0, 3.0]]  # there the target values the actions at 2 and 6


@pytest.mark.parametrize(("rule", "bootstrap"), [("double", 2.0), ("one-step", 6.0)])
def test_the_loss_is_the_papers(rule, bootstrap):
    dqn = agent(target_rule=rule, loss="mse")
    linear(dqn, ONLINE, TARGET)
    first = 1.0 + 0.5 * bootstrap - 1.0  # target minus Q(s, 0) = 1
    second = -1.0 - (-1.0)  # the discount is 0: nothing is bootstrapped; Q(s, 1) = -1
    metrics = dqn.update(BATCH)
    assert metrics["loss/td"].item() == pytest.approx((first**2 + second**2) / 2)


def test_huber_is_linear_beyond_one():
    dqn = agent(target_rule="one-step", loss="huber")
    linear(dqn, ONLINE, TARGET)
    assert dqn.update(BATCH)["loss/td"].item() == pytest.approx((3.0 - 0.5) / 2)


def test_the_target_is_copied_when_due():
    dqn = agent(target_period_updates=3)
    start = dqn.online.clone()
    for _ in range(2):
        dqn.update(BATCH)
    assert torch.equal(dqn.target.mean, start)
    dqn.update(BATCH)
    assert torch.equal(dqn.target.mean, dqn.online)


def test_every_environment_explores_by_a_draw_of_its_own():
    dqn = agent(seeds=(0, 1), epsilon_start=0.5, epsilon_end=(0.5,))
    linear_inputs = torch.zeros(2, 1000, 2)
    began = torch.zeros(2, 1000, dtype=torch.bool)
    greedy = dqn.values(linear_inputs).argmax(-1)
    acted = dqn.act(linear_inputs, {}, began, torch.tensor(7), explore=True).action
    differs = (acted != greedy).float()
    assert differs.mean(dim=1).tolist() == pytest.approx([0.25, 0.25], abs=0.05)  # half explore, half of them agree
    assert not torch.equal(differs[0], differs[1])
    assert torch.equal(acted, dqn.act(linear_inputs, {}, began, torch.tensor(7), explore=True).action)
    assert not torch.equal(acted, dqn.act(linear_inputs, {}, began, torch.tensor(8), explore=True).action)


def test_epsilon_falls_linearly_and_may_differ_by_seed():
    dqn = agent(seeds=(0, 1), epsilon_decay_env_steps=100, epsilon_end=(0.1, 0.2))

    def epsilon(env_step):
        return epsilon_now(dqn.config, dqn.epsilon_end, torch.tensor(env_step), explore=True)

    assert epsilon(0).tolist() == [1.0, 1.0]
    assert epsilon(50).tolist() == pytest.approx([0.55, 0.6])
    assert epsilon(1000).tolist() == pytest.approx([0.1, 0.2])


def test_the_learning_rate_falls_to_its_end():
    dqn = agent(total_env_steps=40, train_every_env_steps=4, final_learning_rate_fraction=0.0)
    for _ in range(10):
        dqn.update(BATCH)
    settled = dqn.online.clone()
    dqn.update(BATCH)
    assert torch.equal(dqn.online, settled)


@pytest.mark.parametrize(("before", "now"), [(True, "double"), (False, "one-step")])
def test_a_run_of_the_time_of_double_is_read(before, now, tmp_path):
    assert from_json(DQNConfig, {"method": {"double": before}, "env": "-"}, tmp_path).target_rule == now
