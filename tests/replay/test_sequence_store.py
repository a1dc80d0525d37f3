"""The store of sequences, against lists of rows worked out in plain Python."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import Episode, Stream, scripts
from torch import Tensor

from rlsuite import random
from rlsuite.agent import TensorSpec
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay, Uniform
from rlsuite.replay.sequence_store import SequenceBatch, SequenceStore, n_step_targets

LENGTH, PERIOD = 5, 3
STACK = 3


@functools.cache
def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
    return torch.tensor([seed, environment, episode, time], dtype=torch.float32)


def stacked(padding: str) -> Callable[[int, int, int, int], Tensor]:
    """Stacks ``[3 * 2, 1, 2]`` of frames with two channels, padded at the start of an episode."""

    @functools.cache
    def observe_stack(seed: int, environment: int, episode: int, time: int) -> Tensor:
        def frame(back: int) -> Tensor:
            if time < back and padding == "zero":
                return torch.zeros(2, 1, 2, dtype=torch.uint8)
            numbers = [1 + seed, environment, episode % 256, max(time - back, 0)]
            return torch.tensor(numbers, dtype=torch.uint8).view(2, 1, 2)

        return torch.cat([frame(back) for back in reversed(range(STACK))])

    return observe_stack


Row = tuple[tuple[float, ...], int, float, bool, bool, bool]


class Rows:
    """What each environment's rows are, from the same steps."""

    def __init__(self, seeds: int, num_envs: int) -> None:
        self.rows: list[list[list[Row]]] = [[[] for _ in range(num_envs)] for _ in range(seeds)]
        self.began = [[True] * num_envs for _ in range(seeds)]
        self.last: dict[tuple[int, int], Row] = {}

    def add(self, observation: Tensor, action: Tensor, step: object) -> None:
        for s, of_seed in enumerate(self.rows):
            for e, rows in enumerate(of_seed):
                if not step.valid[s, e]:  # type: ignore[attr-defined]
                    continue
                numbers = (action[s, e].item(), step.reward[s, e].item(), step.bootstrap[s, e].item())  # type: ignore[attr-defined]
                rows.append((tuple(observation[s, e].flatten().tolist()), *numbers, True, self.began[s][e]))  # type: ignore[arg-type]
                self.last[s, e] = (tuple(step.next_observation[s, e].flatten().tolist()), 0, 0.0, False, False, False)  # type: ignore[attr-defined]
                self.began[s][e] = bool(step.ended[s, e])  # type: ignore[attr-defined]
                if step.ended[s, e]:  # type: ignore[attr-defined]
                    rows.append(self.last[s, e])

    def cut(self) -> None:
        for s, of_seed in enumerate(self.rows):
            for e, rows in enumerate(of_seed):
                if not self.began[s][e]:
                    rows.append(self.last[s, e])
                self.began[s][e] = True

    def windows(self, seed: int, slots: int, stack: int = 1) -> set[tuple[Row, ...]]:
        found = set()
        for rows in self.rows[seed]:
            for first in range(0, len(rows) - LENGTH + 1, PERIOD):
                oldest = len(rows) + 1 - slots
                if first >= (oldest + stack - 1 if oldest > 0 else 0):
                    found.add(tuple(rows[first : first + LENGTH]))
        return found


def windows(batch: SequenceBatch, seed: int) -> set[tuple[Row, ...]]:
    found = set()
    for b in range(batch.reward.shape[1]):
        at = (seed, b)
        found.add(
            tuple(
                (tuple(observation), action, reward, bootstrap, valid, began)
                for observation, action, reward, bootstrap, valid, began in zip(
                    batch.observation[at].flatten(1).tolist(),
                    batch.action[at].tolist(),
                    batch.reward[at].tolist(),
                    batch.bootstrap[at].tolist(),
                    batch.valid[at].tolist(),
                    batch.began[at].tolist(),
                    strict=True,
                )
            )
        )
    return found


def store(capacity: int, seeds: int = 1, num_envs: int = 1, padding: str | None = None) -> SequenceStore:
    kind: dict[str, Any] = {"observation_shape": (4,)}
    if padding is not None:
        pictures = {"observation_shape": (STACK * 2, 1, 2), "observation_dtype": torch.uint8}
        kind = {**pictures, "stack": STACK, "padding": padding}
    return SequenceStore(
        capacity,
        length=LENGTH,
        period=PERIOD,
        seeds=seeds,
        num_envs=num_envs,
        extras={"memory": TensorSpec((4,))},
        **kind,
    )


@settings(deadline=None, max_examples=12)
@given(data=st.data())
@pytest.mark.parametrize(
    ("sampler", "padding"),
    [
        ("uniform", None),
        ("prioritised", None),
        ("uniform", "zero"),
        pytest.param("uniform", "first", marks=pytest.mark.slow),
    ],
)
def test_windows_are_those_of_the_oracle(sampler: str, padding: str | None, data: st.DataObject) -> None:
    seeds, num_envs = data.draw(st.integers(1, 2), "seeds"), data.draw(st.integers(1, 3), "num_envs")
    capacity = data.draw(st.integers(LENGTH * num_envs, LENGTH * num_envs + 25), "capacity")
    mode = data.draw(st.sampled_from(["next_step", "same_step"]), "mode")
    cuts = data.draw(st.sets(st.integers(1, 40), max_size=2), "cuts")
    seen = observe if padding is None else stacked(padding)
    stream = Stream(data.draw(scripts(seeds, num_envs), "script"), mode, seen)
    memory, oracle = store(capacity, seeds, num_envs, padding), Rows(seeds, num_envs)
    chosen = Prioritised(seeds, memory.slots, beta_draws=1) if sampler == "prioritised" else Uniform()
    replay = Replay(memory, 600, chosen)
    for vector_step in range(1, 41):
        observation, action, step = stream.step()
        replay.add(observation, action, step, {"memory": observation.flatten(2)[..., -4:].float()})
        oracle.add(observation, action, step)
        if vector_step in cuts:
            stream.cut()
            replay.cut()
            oracle.cut()
        if vector_step % 13 and vector_step not in cuts:
            continue
        expected = [oracle.windows(seed, memory._rows.slots, memory.stack) for seed in range(seeds)]
        assert memory.size.tolist() == [len(found) for found in expected]
        if all(expected):
            batch = replay.sample(random.key(torch.arange(seeds), vector_step))
            assert [windows(batch, seed) for seed in range(seeds)] == expected
            first_is_valid = batch.valid[:, :, 0]
            first = batch.observation[:, :, 0].flatten(2)[..., -4:].float()
            assert torch.equal(batch.extras["memory"][first_is_valid], first[first_is_valid])


def test_targets_are_sums_of_rewards_and_the_value_of_the_row_after_them() -> None:
    flags = {
        "bootstrap": [True, True, False, False, True, True, True],
        "valid": [True, True, True, False, True, True, True],
        "began": [True, False, False, False, True, False, False],
    }
    batch = SequenceBatch(
        observation=torch.zeros(1, 1, 7, 1),
        action=torch.zeros(1, 1, 7),
        reward=torch.tensor([[[1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0]]]),
        **{name: torch.tensor([[values]]) for name, values in flags.items()},
    )
    value = torch.tensor([[[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]]])
    target = n_step_targets(batch.reward, batch.bootstrap, batch.valid, value, torch.tensor([0.5]), 2)[0, 0]
    # The third step ends the episode by termination; the fourth row is its last observation.
    assert target[:3].tolist() == [1 + 0.5 * 2 + 0.25 * 30, 2 + 0.5 * 3, 3.0]
    assert target[4].item() == 5 + 0.5 * 6 + 0.25 * 70
    # Were it a truncation, the value of the last observation would count.
    batch.bootstrap[0, 0, 2] = True
    target = n_step_targets(batch.reward, batch.bootstrap, batch.valid, value, torch.tensor([0.5]), 2)[0, 0]
    assert target[1:3].tolist() == [2 + 0.5 * 3 + 0.25 * 40, 3 + 0.5 * 40]


def test_a_restored_store_goes_on_and_a_state_of_another_shape_is_refused() -> None:
    stream = Stream([[[Episode((False,) * 4, False)]]], "same_step", observe)
    first, second = store(30), store(30)
    steps = [stream.step() for _ in range(60)]
    for observation, action, step in steps[:33]:
        first.add(observation, action, step, {"memory": observation})
    second.load_state_dict(first.state_dict())
    for observation, action, step in steps[33:]:
        for memory in (first, second):
            memory.add(observation, action, step, {"memory": observation})
    key = random.key(torch.arange(1), 1)
    left, right = (Replay(memory, 50).sample(key) for memory in (first, second))
    assert windows(left, 0) == windows(right, 0)
    with pytest.raises(ValueError, match=r"written is int64 \[1\], where int64 \[2\] is wanted"):
        store(60, num_envs=2).load_state_dict(first.state_dict())


def test_a_stack_of_frames_takes_the_room_of_one() -> None:
    pictures = {"observation_dtype": torch.uint8, "length": 10, "period": 5, "seeds": 1, "num_envs": 1}
    whole, once = (
        SequenceStore(1_000, observation_shape=(4, 20, 20), **pictures, **how)  # type: ignore[arg-type]
        for how in ({}, {"stack": 4})
    )
    assert 3.8 < whole.nbytes / once.nbytes < 4.0


def test_a_window_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="keeps 4 steps of each of 2 environments: a window has 5"):
        store(8, num_envs=2)
