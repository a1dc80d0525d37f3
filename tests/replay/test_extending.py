"""Many steps at once: a replay is the same, to the bit, as after adding them one by one."""

from random import Random
from typing import Any

import pytest
import torch
from replay_oracle import Episode, Stream
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from rlsuite import random
from rlsuite.agent import TensorSpec
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay, Store
from rlsuite.replay.sequence_store import SequenceStore
from rlsuite.replay.transition_store import TransitionStore

STACK = 3
KINDS = ("transitions", "frames", "sequences", "sequences of frames")


def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
    return torch.tensor([seed, environment, episode, time], dtype=torch.float32)


def observe_stack(seed: int, environment: int, episode: int, time: int) -> Tensor:
    frames = [[1 + seed, environment, episode % 256, max(time - back, 0)] for back in reversed(range(STACK))]
    return torch.tensor(frames, dtype=torch.uint8).view(STACK, 2, 2)


def make(kind: str, seeds: int, num_envs: int, n_step: int, spare: int) -> Replay:
    shape: dict[str, Any] = {"seeds": seeds, "num_envs": num_envs, "extras": {"memory": TensorSpec((2,))}}
    returns = {"discount": torch.linspace(0.5, 0.9, seeds), "n_step": n_step}
    store: Store
    match kind:
        case "transitions":
            store = TransitionStore(num_envs * n_step + spare, observation_shape=(4,), **returns, **shape)
        case "frames":
            store = FrameStore(num_envs + spare, stack=STACK, frame_shape=(2, 2), **returns, **shape)
        case "sequences":
            store = SequenceStore(4 * num_envs + spare, length=4, period=n_step, observation_shape=(4,), **shape)
        case _:
            shape |= {"stack": STACK, "observation_shape": (STACK, 2, 2), "observation_dtype": torch.uint8}
            store = SequenceStore(4 * num_envs + spare, length=4, period=n_step, padding="first", **shape)
    return Replay(store, 16, Prioritised(seeds, store.slots, beta_draws=1))


@pytest.mark.parametrize("kind", KINDS)
def test_many_steps_at_once_are_stored_as_one_by_one(kind: str) -> None:
    for case in range(12):
        chance = Random(case)
        seeds, num_envs, n_step = chance.randint(1, 2), chance.randint(1, 3), chance.randint(1, 4)
        seen = observe_stack if "frames" in kind else observe
        stream = Stream(script(chance, seeds, num_envs), chance.choice(["next_step", "same_step"]), seen)
        spare = chance.choice([0, 5, 20, 60])
        single, bulk = (make(kind, seeds, num_envs, n_step, spare) for _ in range(2))
        for round_number in range(3):
            steps = []
            for _ in range(chance.randint(1, 12)):
                memory = torch.tensor([[[chance.random()] * 2] * num_envs] * seeds)
                steps.append((*stream.step(), {"memory": memory}))
                single.add(*steps[-1])
            bulk.extend(*tree_map(lambda *each: torch.stack(each, dim=1), *steps))
            assert_same(single, bulk)
            for replay in (single, bulk):
                if round_number == 0:  # a gap in some environments
                    replay.cut(torch.arange(num_envs) % 2 == 0)
                if (replay.size > 0).all():
                    batch = replay.sample(random.key(torch.arange(seeds), round_number))
                    replay.feedback(
                        batch, batch.reward.flatten(2).sum(2).abs() if batch.reward.dim() > 2 else batch.reward.abs()
                    )
            assert_same(single, bulk)


def script(chance: Random, seeds: int, num_envs: int) -> list[list[list[Episode]]]:
    """Episodes of up to seven steps, some of which lose a life."""

    def episode() -> Episode:
        return Episode(tuple(chance.random() < 0.2 for _ in range(chance.randint(1, 7))), chance.random() < 0.5)

    return [[[episode() for _ in range(4)] for _ in range(num_envs)] for _ in range(seeds)]


def assert_same(left: Replay, right: Replay) -> None:
    (one, layout), (other, other_layout) = tree_flatten(left.state_dict()), tree_flatten(right.state_dict())
    assert layout == other_layout
    for value, expected in zip(other, one, strict=True):
        assert torch.equal(value, expected)
