"""On-policy returns, against sums worked out step by step in plain Python."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import Episode, Stream, scripts
from torch import Tensor

from rlsuite.replay.rollout import Rollout, RolloutBatch, lambda_returns, reward_to_go

KEY = torch.zeros(2, dtype=torch.int64)
DISCOUNTS = torch.tensor([0.5, 0.25])


def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
    return torch.tensor([seed, environment, episode, time], dtype=torch.float32)


def value(observation: Tensor) -> Tensor:
    """A baseline with whole values, so that returns are exact."""
    return 3 * observation[..., 2] - 2 * observation[..., 3] + 1


def expected(batch: RolloutBatch, seed: int, environment: int, start: int, with_values: bool) -> float | None:
    """The return from a step on, by following the episode; None where it is not known."""
    discount, total, weight = DISCOUNTS[seed].item(), 0.0, 1.0
    for time in range(start, batch.reward.shape[1]):
        at = (seed, time, environment)
        total += weight * batch.reward[at].item()
        weight *= discount
        if not batch.bootstrap[at]:
            return total
        if batch.ended[at] or time == batch.reward.shape[1] - 1:
            return total + weight * value(batch.next_observation[at]).item() if with_values else None
    raise AssertionError


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_returns_are_the_sums_of_the_oracle(data: st.DataObject) -> None:
    num_envs, length = data.draw(st.integers(1, 3), "num_envs"), data.draw(st.integers(1, 18), "length")
    mode = data.draw(st.sampled_from(["next_step", "same_step"]), "mode")
    stream = Stream(data.draw(scripts(2, num_envs), "script"), mode, observe)
    rollout = Rollout(length, seeds=2, num_envs=num_envs, observation_shape=(4,))
    for _ in range(data.draw(st.integers(1, 2), "rollouts") * length):
        rollout.add(*stream.step())
    assert rollout.full
    batch = rollout.sample(KEY)
    for with_values in (False, True):
        returns, weight = reward_to_go(batch, DISCOUNTS, value(batch.next_observation) if with_values else None)
        assert returns.shape == weight.shape == (2, length, num_envs)
        assert returns.dtype == weight.dtype == torch.float32
        for seed, time, environment in torch.cartesian_prod(*map(torch.arange, batch.reward.shape)).tolist():
            known = None
            if batch.valid[seed, time, environment]:
                known = expected(batch, seed, environment, time, with_values)
            assert weight[seed, time, environment] == (known is not None)
            if known is not None:
                assert returns[seed, time, environment] == known


def test_steps_are_kept_in_order_and_the_next_rollout_begins_anew() -> None:
    stream = Stream([[[Episode((False,) * 4, True)]]], "same_step", observe)
    rollout = Rollout(3, seeds=1, num_envs=1, observation_shape=(4,))
    assert not rollout.full
    filled = []
    for _ in range(7):
        rollout.add(*stream.step())
        filled.append(bool(rollout.full))
    assert filled == [False, False, True, False, False, True, False]
    assert rollout.sample(KEY).observation[0, :, 0, 2:].tolist() == [[1, 2], [1, 0], [1, 1]]
    assert rollout.sample(KEY).next_observation[0, :, 0, 2:].tolist() == [[1, 3], [1, 1], [1, 2]]


def test_without_a_baseline_cut_episodes_are_kept_out() -> None:
    script = [Episode((False, False), False), Episode((False, False), True)]
    stream = Stream([[script]], "next_step", observe)
    rollout = Rollout(7, seeds=1, num_envs=1, observation_shape=(4,))
    for _ in range(7):
        rollout.add(*stream.step())
    # Two steps truncated, a phantom, two steps terminated, a phantom, one step cut by the rollout's end.
    _, weight = reward_to_go(rollout.sample(KEY), torch.ones(1))
    assert weight.flatten().tolist() == [0, 0, 0, 1, 1, 0, 0]
    _, weight = reward_to_go(rollout.sample(KEY), torch.ones(1), torch.zeros(1, 7, 1))
    assert weight.flatten().tolist() == [1, 1, 0, 1, 1, 0, 1]


def test_add_and_returns_trace_without_graph_breaks() -> None:
    torch.compiler.reset()
    stream = Stream([[[Episode((False,) * 3, True)]]], "next_step", observe)
    eager, traced = (Rollout(5, seeds=1, num_envs=1, observation_shape=(4,)) for _ in range(2))
    add = torch.compile(traced.add, fullgraph=True, backend="eager", dynamic=False)
    returns = torch.compile(reward_to_go, fullgraph=True, backend="eager", dynamic=False)
    for _ in range(5):
        step = stream.step()
        eager.add(*step)
        add(*step)
    for left, right in zip(
        reward_to_go(eager.sample(KEY), torch.ones(1)), returns(traced.sample(KEY), torch.ones(1)), strict=True
    ):
        assert torch.equal(left, right)


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Rollout(0, seeds=1, num_envs=1, observation_shape=(4,))


@pytest.mark.parametrize("trace", [0.0, 0.65, 1.0])
def test_lambda_returns_are_the_recursion_of_their_definition(trace: float) -> None:
    torch.manual_seed(0)
    axes = (2, 7, 3)
    ended = torch.rand(axes) < 0.3
    bootstrap = ~ended | (torch.rand(axes) < 0.5)
    bootstrap[:, 3] &= torch.rand(2, 3) < 0.5  # lives are lost
    flags = {"ended": ended, "bootstrap": bootstrap, "began": ended, "valid": torch.ones_like(ended)}
    nothing = torch.zeros(axes)
    batch = RolloutBatch(nothing, nothing, torch.randn(axes), nothing, **flags)
    next_value = torch.randn(axes)
    returns = lambda_returns(batch, next_value, DISCOUNTS, trace)
    for seed, environment in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        after = 0.0
        for time in reversed(range(7)):
            at = (seed, time, environment)
            value = next_value[at].item()
            if time < 6 and not ended[at]:
                value = (1 - trace) * value + trace * after
            after = batch.reward[at].item() + DISCOUNTS[seed].item() * bool(bootstrap[at]) * value
            assert returns[at].item() == pytest.approx(after, abs=1e-5)
