"""What makes each of the actor-critics itself: targets, delays, densities and temperatures."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.a2c import A2C, A2CConfig
from agents.ddpg import DDPG, DDPGConfig
from agents.ppo import PPO, PPOConfig
from agents.sac import SAC, SACConfig
from agents.td3 import TD3, TD3Config
from rlsuite.experience import Batch
from rlsuite.networks.distributions import tanh_log_derivative
from rlsuite.replay.rollout import RolloutBatch, advantages, next_outputs

STATES = Box(-1.0, 1.0, (2,), np.float32)
ARM = Box(np.array([-2.0], np.float32), np.array([6.0], np.float32))
QUICK = {"hidden": (32, 32), "actor_learning_rate": (5e-3,), "critic_learning_rate": (1e-2,)}
STILL = torch.zeros((), dtype=torch.int64)
BEGAN = torch.ones(1, 4, dtype=torch.bool)


def one_step(action_space, reward, size=128, number=0):
    """Transitions that end an episode, ``[1, B]``, of random actions with ``reward(state, action)``."""
    torch.manual_seed(number)
    state = torch.rand(1, size, 2) * 2 - 1
    action = torch.randint(0, 3, (1, size)) if isinstance(action_space, Discrete) else torch.rand(1, size, 1) * 8 - 2
    return Batch(state, action, reward(state, action), torch.zeros(1, size), state)


def test_an_actor_of_discrete_actions_does_not_begin_as_a_critic():
    agent = SAC(SACConfig(env="-"), STATES, Discrete(3), [0])
    assert not any(torch.equal(agent.actor.parameters, part) for part in agent.critic.parameters.chunk(2, dim=1))


def chosen(agent):
    state = torch.tensor([[[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]]])
    return agent.act(state, agent.initial_state(4), BEGAN, STILL, explore=False).action


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (DDPG, DDPGConfig(env="-", **QUICK)),
        (TD3, TD3Config(env="-", **QUICK)),
        (SAC, SACConfig(env="-", **QUICK, temperature=(0.05,))),
    ],
)
def test_the_action_becomes_the_best_for_its_state(kind, config):
    agent = kind(config, STATES, ARM, [0])
    for number in range(200):
        agent.update(
            one_step(ARM, lambda s, a: -(((a - 2.0 - 4.0 * s[..., :1]) / 4.0).square().sum(-1)), number=number)
        )
    torch.testing.assert_close(chosen(agent).flatten(), torch.tensor([4.0, 0.0, 2.0, 2.0]), atol=0.7, rtol=0.0)


def test_the_likeliest_of_several_actions_becomes_the_best():
    agent = SAC(SACConfig(env="-", **QUICK), STATES, Discrete(3), [0])
    for number in range(100):
        agent.update(one_step(Discrete(3), lambda s, a: (a == (s[..., 0] > 0).long()).float(), number=number))
    assert chosen(agent)[0, :2].tolist() == [1, 0]


@pytest.mark.parametrize(("kind", "config"), [(DDPG, DDPGConfig), (TD3, TD3Config), (SAC, SACConfig)])
def test_learning_rates_fall_to_their_end(kind, config):
    agent = kind(config(env="-", total_env_steps=4, final_learning_rate_fraction=0.0), STATES, ARM, [0])
    batch = one_step(ARM, lambda s, a: a.sum(-1))
    learned = [name for name in ("actor", "critic", "log_temperature") if name in agent.state_dict()]
    for _ in range(4):
        agent.update(batch)
    settled = {name: agent.state_dict()[name].clone() for name in learned}
    agent.update(batch)
    agent.update(batch)  # of TD3's actor the first beyond the end
    assert all(torch.equal(before, agent.state_dict()[name]) for name, before in settled.items())


def test_the_targets_of_td3_wait_for_the_actor():
    agent = TD3(TD3Config(env="-", policy_delay_updates=3), STATES, ARM, [0])
    before = {name: agent.state_dict()[name].clone() for name in ("actor", "actor_target", "critic_target")}
    for update in range(1, 4):
        metrics = agent.update(one_step(ARM, lambda s, a: a.sum(-1)))
        for name, tensor in before.items():
            assert torch.equal(tensor, agent.state_dict()[name]) == (update < 3), (name, update)
        assert (metrics["loss/actor"] == 0.0) == (update < 3)


def test_the_target_of_td3_is_the_lesser_of_two_critics_on_noisy_actions(monkeypatch):
    config = TD3Config(env="-", target_noise_scale=10.0, target_noise_clip=0.25)
    agent = TD3(config, STATES, ARM, [0])
    state = torch.zeros(1, 64, 2)
    plain = DDPG._next_action(agent, state)
    noisy = agent._next_action(state)
    assert (noisy - plain).abs().max() == pytest.approx(0.25) and noisy.abs().max() <= 1.0
    values = agent._values(state, noisy)
    assert values.shape == (1, 64, 2) and not torch.equal(values[..., 0], values[..., 1])
    monkeypatch.setattr(agent, "_next_action", lambda _: noisy)
    batch = Batch(state, torch.full((1, 64, 1), 2.0), torch.ones(1, 64), torch.full((1, 64), 0.5), state)
    target = 1.0 + 0.5 * values.min(-1).values
    taken = agent._values(state, torch.zeros(1, 64, 1))
    expected = (taken - target.unsqueeze(-1)).square().mean(dim=1).sum()
    torch.testing.assert_close(agent.update(batch)["loss/critic"], expected.view(1).detach())


def test_the_density_of_a_squashed_sample_is_that_of_torch():
    sample = torch.tensor([-30.0, -3.0, -0.1, 0.0, 2.0, 8.0], dtype=torch.float64)
    expected = torch.distributions.transforms.TanhTransform().log_abs_det_jacobian(sample, sample.tanh())
    torch.testing.assert_close(tanh_log_derivative(sample), expected)
    agent = SAC(SACConfig(env="-"), STATES, Box(-2.0, 2.0, (3,)), [0])
    torch.manual_seed(0)
    outputs = 0.5 * torch.randn(1, 5, 6)
    outcomes = agent.policy.outcomes(outputs, torch.tensor([7]))
    mean, log_std = outputs.chunk(2, dim=-1)
    normal = torch.distributions.Normal(mean, log_std.exp())
    squashed = torch.distributions.TransformedDistribution(normal, torch.distributions.transforms.TanhTransform())
    torch.testing.assert_close(
        outcomes.log_prob.squeeze(-1), squashed.log_prob(outcomes.inputs[0]).sum(-1), atol=1e-3, rtol=1e-3
    )


def test_the_soft_value_of_several_actions_is_their_exact_expectation():
    agent = SAC(SACConfig(env="-", temperature=(0.5,)), STATES, Discrete(3), [0])
    state = torch.randn(1, 4, 2)
    outcomes = agent.policy.outcomes(agent.actor(state), torch.tensor([0]))
    probability = agent.actor(state).softmax(-1)
    least = agent.critic(state).min(dim=2).values
    expected = (probability * least).sum(-1) + 0.5 * torch.distributions.Categorical(probability).entropy()
    torch.testing.assert_close(agent._soft_value(state, outcomes), expected)


@pytest.mark.parametrize(("target", "sign"), [(1.0986, 1), (0.2, -1)])
def test_the_temperature_rises_where_entropy_is_below_its_target(target, sign):
    config = SACConfig(env="-", target_entropy=target, temperature_learning_rate=(0.1, 0.0), temperature=(0.5, 2.0))
    agent = SAC(config, STATES, Discrete(3), [0, 1])
    batch = one_step(Discrete(3), lambda s, a: a.float())
    both = Batch(*(torch.cat([part, part]) for part in list(vars(batch).values())[:5]))
    agent.update(both)
    learned, kept = agent.log_temperature.flatten().tolist()
    assert math.copysign(1, learned - math.log(0.5)) == sign
    assert kept == pytest.approx(math.log(2.0))  # a rate of 0


def test_more_entropy_than_there_can_be_is_refused():
    with pytest.raises(ValueError, match=r"--target-entropy must be less than .*, 0.693 nats here, not 0.89"):
        SAC(SACConfig(env="-", target_entropy=0.89), STATES, Discrete(2), [0])
    with pytest.raises(ValueError, match=r"0.693 nats here, not 1"):
        SAC(SACConfig(env="-", target_entropy=1.0), STATES, ARM, [0])


@pytest.mark.parametrize(("kind", "config"), [(DDPG, DDPGConfig), (TD3, TD3Config), (SAC, SACConfig)])
def test_a_prioritised_batch_is_weighted_and_gets_its_errors_as_priorities(kind, config):
    agent, batch = kind(config(env="-", **QUICK), STATES, ARM, [0]), one_step(ARM, lambda s, a: a.sum(-1))
    alike = dataclasses.replace(batch, extras={"weight": torch.ones(1, 128)})
    other = kind(config(env="-", **QUICK), STATES, ARM, [0])
    metrics, (weighted, priority) = agent.update(batch), other.update(alike)
    assert torch.equal(agent.critic.parameters, other.critic.parameters) and metrics.keys() == weighted.keys()
    assert priority.shape == (1, 128)
    agent, other = (kind(config(env="-", **QUICK), STATES, ARM, [0]) for _ in range(2))
    few = Batch(*(part[:, :64] for part in list(vars(batch).values())[:5]))
    weight = torch.cat([2 * torch.ones(1, 64), torch.zeros(1, 64)], dim=1)  # twice those, and none of the others
    agent.update(few)
    _, again = other.update(dataclasses.replace(batch, extras={"weight": weight}))
    torch.testing.assert_close(agent.critic.parameters, other.critic.parameters)
    assert torch.equal(again, priority)
    assert (priority.square().mean() >= metrics["loss/critic"] / 2).all()  # the larger of two, or the only one


def test_a_temperature_below_zero_is_refused():
    with pytest.raises(ValueError, match="--temperature must be more than 0, not -1"):
        SACConfig(env="-", temperature=(-1.0,))


def rollout(seeds=1):
    """Eight steps of two environments, as a policy that is about uniform would have collected them."""
    torch.manual_seed(0)
    axes = (seeds, 8, 2)
    flags = {name: torch.rand(axes) < 0.1 for name in ("ended", "began")}
    return RolloutBatch(
        observation=torch.randn(*axes, 2),
        action=torch.randint(0, 3, axes),
        reward=torch.randn(axes),
        next_observation=torch.randn(*axes, 2),
        bootstrap=~flags["ended"],
        valid=torch.ones(axes, dtype=torch.bool),
        extras={"log_prob": torch.full(axes, -math.log(3)), "value": torch.zeros(axes)},
        **flags,
    )


ROLLOUT = {"env": "-", "hidden": (8,), "num_envs": 2, "rollout_env_steps": 16}


def test_an_update_stops_for_each_seed_that_has_gone_far():
    def learned(epochs, **options):
        config = PPOConfig(**ROLLOUT, epochs=epochs, minibatches=1, learning_rate=(0.05, 1e-5), **options)
        agent = PPO(config, STATES, Discrete(3), [0, 1])
        agent.network.parameters.mul_(0.01)  # nearly uniform, as the rollout's policy
        agent.update(rollout(2))
        moments = agent.optimiser.first_moment, agent.optimiser.second_moment
        return torch.cat([agent.network.parameters, *moments], dim=1)

    # All first steps are at the full rate.
    once, twice, stopped = learned(1), learned(2), learned(2, max_kl=1e-4)
    assert torch.equal(stopped[0], once[0]) and not torch.equal(twice[0], once[0])
    assert torch.equal(stopped[1], twice[1]) and not torch.equal(once[1], twice[1])


def test_steps_after_minibatches_that_were_skipped_are_no_larger():
    config = PPOConfig(**ROLLOUT, epochs=10, minibatches=1, learning_rate=(0.01,), final_learning_rate_fraction=1.0)
    agent = PPO(dataclasses.replace(config, max_kl=1e-6), STATES, Discrete(3), [0])
    largest = 0.0
    for _ in range(5):
        before = agent.network.parameters.clone()
        agent.update(rollout())
        largest = max(largest, (agent.network.parameters - before).abs().max().item())
    assert agent.optimiser.updates + agent._skipped == 50 and agent._skipped >= 40
    assert largest <= 0.0101  # a constant gradient's step of Adam is the learning rate
    saved = agent.state_dict()
    other = PPO(dataclasses.replace(config, max_kl=1e-6), STATES, Discrete(3), [0])
    other.load_state_dict(saved)
    assert torch.equal(other._skipped, agent._skipped)


def test_values_count_as_far_as_they_are_clipped():
    agent = PPO(PPOConfig(**ROLLOUT, value_clip=0.5), STATES, Discrete(3), [0])
    value, old, returns = torch.tensor([2.0, 0.2, -2.0]), torch.zeros(3), torch.tensor([3.0, 1.0, 1.0])
    assert agent._value_errors(value, old, returns).tolist() == pytest.approx([2.5**2, 0.8**2, 3.0**2])


def test_the_step_of_a2c_is_up_the_gradient_of_the_log_probability_times_the_advantage():
    config = A2CConfig(**ROLLOUT, entropy_weight=0.1, max_gradient_norm=None)
    agent, batch = A2C(config, STATES, Discrete(3), [0]), rollout()
    began = torch.zeros(1, 16, 1, dtype=torch.bool)
    leaf = agent.network.parameters.clone().requires_grad_()
    outputs, value, _ = agent._outputs(batch.observation.flatten(1, 2).unsqueeze(2), began, None, leaf)
    policy = torch.distributions.Categorical(logits=outputs)
    log_prob = policy.log_prob(batch.action.flatten(1, 2))
    batch.extras["log_prob"], batch.extras["value"] = (x.detach().view(1, 8, 2) for x in (log_prob, value))
    next_value = next_outputs(agent.network, batch)[..., -1]
    advantage = advantages(batch, batch.extras["value"], next_value, agent.discount, 1.0).flatten(1, 2)
    returns = advantage + value.detach()
    loss = -(log_prob * advantage).mean() + 0.5 * (value - returns).square().mean() - 0.1 * policy.entropy().mean()
    (gradient,) = torch.autograd.grad(loss, leaf)
    agent.update(batch)
    torch.testing.assert_close(agent.optimiser.first_moment / 0.1, gradient, atol=1e-5, rtol=1e-4)
