"""What the accumulator gives out step by step, by hand; streams of all kinds are in the tests of the replays."""

import torch
from torch import Tensor

from rlsuite.experience import Batch, Step
from rlsuite.replay.n_step import NStepAccumulator


def accumulator(n_step: int) -> NStepAccumulator:
    return NStepAccumulator(
        n_step,
        0.5,
        seeds=1,
        num_envs=1,
        observation_shape=(),
        observation_dtype=torch.float32,
        action_shape=(),
        action_dtype=torch.int64,
        device="cpu",
    )


def push(windows: NStepAccumulator, seen: float, reward: float, **flags: bool) -> list[tuple[float, ...]]:
    flag = {name: torch.tensor([[flags.get(name, name in ("bootstrap", "valid"))]]) for name in FLAGS}
    next_observation = torch.tensor([[seen + 1]])
    return complete(
        *windows.push(torch.tensor([[seen]]), torch.tensor([[int(seen)]]), _step(next_observation, reward, flag))
    )


FLAGS = ("terminated", "truncated", "bootstrap", "valid")


def _step(next_observation: Tensor, reward: float, flags: dict[str, Tensor]) -> Step:
    began = torch.zeros_like(flags["valid"])
    return Step(
        observation=next_observation,
        next_observation=next_observation,
        reward=torch.tensor([[reward]]),
        began=began,
        **flags,
    )


def complete(transitions: Batch, marked: Tensor) -> list[tuple[float, ...]]:
    """(observation, action, reward, discount, next observation) of the complete ones, in order."""
    columns = (value[marked].tolist() for value in vars(transitions).values() if isinstance(value, Tensor))
    return list(zip(*columns, strict=True))


def test_a_window_closes_after_n_steps() -> None:
    windows = accumulator(3)
    assert push(windows, 0.0, 1.0) == []
    assert push(windows, 1.0, 2.0) == []
    assert push(windows, 2.0, 4.0) == [(0, 0, 1 + 1 + 1, 0.125, 3)]
    assert push(windows, 3.0, 8.0) == [(1, 1, 2 + 2 + 2, 0.125, 4)]


def test_a_termination_closes_all_windows_without_a_future() -> None:
    windows = accumulator(3)
    push(windows, 0.0, 1.0)
    assert push(windows, 1.0, 2.0, terminated=True, bootstrap=False) == [(0, 0, 2, 0, 2), (1, 1, 2, 0, 2)]
    assert push(windows, 9.0, 1.0) == []


def test_a_truncation_closes_all_windows_with_the_value_of_the_last_observation() -> None:
    windows = accumulator(3)
    push(windows, 0.0, 1.0)
    assert push(windows, 1.0, 2.0, truncated=True) == [(0, 0, 2, 0.25, 2), (1, 1, 2, 0.5, 2)]
    assert push(windows, 9.0, 1.0) == []


def test_a_lost_life_closes_all_windows_and_the_episode_goes_on() -> None:
    windows = accumulator(2)
    push(windows, 0.0, 1.0)
    assert push(windows, 1.0, 2.0, bootstrap=False) == [(0, 0, 2, 0, 2), (1, 1, 2, 0, 2)]
    assert push(windows, 2.0, 4.0) == []
    assert push(windows, 3.0, 8.0) == [(2, 2, 8, 0.25, 4)]


def test_a_phantom_step_changes_nothing() -> None:
    windows = accumulator(2)
    push(windows, 0.0, 1.0)
    assert push(windows, 50.0, float("nan"), valid=False, bootstrap=False) == []
    assert push(windows, 1.0, 2.0) == [(0, 0, 2, 0.25, 2)]


def test_a_flush_closes_all_windows_like_a_truncation() -> None:
    windows = accumulator(3)
    push(windows, 0.0, 1.0)
    push(windows, 1.0, 2.0)
    assert complete(*windows.flush()) == [(0, 0, 2, 0.25, 2), (1, 1, 2, 0.5, 2)]
    assert complete(*windows.flush()) == []
    assert complete(*accumulator(1).flush()) == []
