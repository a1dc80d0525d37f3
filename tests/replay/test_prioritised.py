"""Prioritised sampling, against sums and probabilities worked out in plain Python."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import DISCOUNT, Episode, Stream, keys, scripts
from torch import Tensor

from rlsuite import random
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.prioritised import Prioritised
from rlsuite.replay.replay import Replay
from rlsuite.replay.sum_tree import SumTree
from rlsuite.replay.transition_store import TransitionStore


@functools.cache
def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
    return torch.tensor([seed, environment, episode, time], dtype=torch.float32)


@functools.cache
def observe_frames(seed: int, environment: int, episode: int, time: int) -> Tensor:
    def frame(at: int) -> Tensor:
        return torch.tensor([[seed + 1, environment + 1, episode, at + 1 if at >= 0 else 0]], dtype=torch.uint8)

    return torch.stack([frame(time - 1), frame(time)]) * (torch.tensor([time - 1, time]) >= 0).view(2, 1, 1)


def memory(kind: str, capacity: int, seeds: int, num_envs: int, alpha: float = 1.0) -> Replay:
    store: TransitionStore | FrameStore
    if kind == "frames":
        store = FrameStore(
            capacity, seeds=seeds, num_envs=num_envs, stack=2, frame_shape=(1, 4), discount=DISCOUNT, n_step=2
        )
    else:
        store = TransitionStore(
            capacity, seeds=seeds, num_envs=num_envs, observation_shape=(4,), discount=DISCOUNT, n_step=2
        )
    return Replay(store, 1200, Prioritised(seeds, store.slots, alpha=alpha, beta_draws=100))


@pytest.mark.parametrize("size", [1, 63, 64, 65, 5000])
def test_a_tree_finds_what_cumulative_sums_find(size: int) -> None:
    generator = np.random.default_rng(size)
    tree = SumTree(2, size)
    values = np.zeros((2, size), np.float32)
    for _ in range(5):
        index = np.stack([generator.choice(size, max(size // 2, 1), replace=False) for _ in range(2)])
        new = generator.integers(0, 4, index.shape).astype(np.float32)  # whole numbers: sums are exact
        tree.set(torch.from_numpy(index), torch.from_numpy(new))
        np.put_along_axis(values, index, new, axis=1)
        values[:, 0] = np.maximum(values[:, 0], 1)
        tree.set(torch.zeros(2, 1, dtype=torch.int64), torch.from_numpy(values[:, :1]))
    assert tree.total.tolist() == values.sum(axis=1).tolist()
    share = generator.random((2, 200)).astype(np.float32)
    found = tree.find(torch.from_numpy(share)).numpy()
    for row in range(2):
        sums = np.cumsum(values[row])
        expected = np.searchsorted(sums, share[row] * np.float32(sums[-1]), side="right")
        assert found[row].tolist() == expected.tolist()
        assert (values[row][found[row]] > 0).all()


@settings(deadline=None, max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("kind", ["transitions", "frames"])
def test_what_is_drawn_is_what_uniform_sampling_could_draw(kind: str, data: st.DataObject) -> None:
    """New transitions have one priority, so that after any stream all that are there are drawn, and nothing else."""
    seeds, num_envs = data.draw(st.integers(1, 2), "seeds"), data.draw(st.integers(1, 3), "num_envs")
    capacity = data.draw(st.integers(2 * num_envs, 2 * num_envs + 12), "capacity")
    stream = Stream(
        data.draw(scripts(seeds, num_envs), "script"), "same_step", observe_frames if kind == "frames" else observe
    )
    prioritised = memory(kind, capacity, seeds, num_envs)
    for vector_step in range(1, 31):
        prioritised.add(*stream.step())
        if vector_step == 11:
            stream.cut()
            prioritised.cut()
    key = random.key(torch.arange(seeds), 5)
    uniform = Replay(prioritised.store, 1200)
    if (prioritised.size > 0).all():
        for seed in range(seeds):
            assert set(keys(prioritised.sample(key), seed)) == set(keys(uniform.sample(key), seed))


def filled() -> Replay:
    replay = memory("transitions", 8, 1, 1)
    stream = Stream([[[Episode((False,) * 50, True)]]], "same_step", observe)
    for _ in range(20):
        replay.add(*stream.step())
    return replay


def test_transitions_are_drawn_in_proportion_to_their_priorities_and_weighed_against_it() -> None:
    replay = filled()
    every = torch.arange(8).unsqueeze(0)
    priority = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0]])
    batch = replay.sample(random.key(torch.arange(1), 1))
    replay.feedback(replace(batch, extras={"index": every}), priority)
    batch = replay.sample(random.key(torch.arange(1), 2))
    counts = torch.bincount(batch.extras["index"][0], minlength=8)
    assert torch.allclose(counts / 1200, priority[0] / 28, atol=0.002)  # stratified draws: within one draw or two
    beta = 0.4 + 0.6 * 1 / 100
    expected = (priority[0] / 28 * 8) ** -beta
    drawn_weights = batch.extras["weight"][0] / batch.extras["weight"].max()
    assert torch.allclose(drawn_weights, (expected / expected[0])[batch.extras["index"][0]], rtol=1e-4)


def test_priorities_that_are_all_zero_draw_alike_and_nan_ones_draw_what_is_there() -> None:
    replay = filled()
    batch = replay.sample(random.key(torch.arange(1), 1))
    every = replace(batch, extras={"index": torch.arange(8).unsqueeze(0)})
    replay.feedback(every, torch.zeros(1, 8))
    batch = replay.sample(random.key(torch.arange(1), 2))
    assert torch.bincount(batch.extras["index"][0], minlength=8).tolist() == [150] * 8
    assert torch.allclose(batch.extras["weight"], torch.ones(1))
    replay.feedback(every, torch.full((1, 8), torch.nan))  # the loss they come from stops the run a little later
    indices = replay.sample(random.key(torch.arange(1), 3)).extras["index"]
    assert indices.min() >= 0 and indices.max() < 8


def test_a_new_transition_has_the_largest_priority_so_far() -> None:
    replay = filled()
    batch = replay.sample(random.key(torch.arange(1), 1))
    replay.feedback(replace(batch, extras={"index": torch.arange(8).unsqueeze(0)}), torch.full((1, 8), 9.0))
    stream = Stream([[[Episode((False,) * 50, True)]]], "same_step", observe)
    replay.feedback(replace(batch, extras={"index": torch.arange(8).unsqueeze(0)}), torch.full((1, 8), 1.0))
    replay.add(*stream.step())
    assert isinstance(replay.sampler, Prioritised)
    assert replay.sampler.tree.levels[0][0, :8].max().item() == pytest.approx(9.0, rel=1e-4)


def test_a_restored_sampler_draws_the_same() -> None:
    replay, restored = filled(), memory("transitions", 8, 1, 1)
    batch = replay.sample(random.key(torch.arange(1), 1))
    replay.feedback(batch, torch.rand(batch.reward.shape))
    restored.load_state_dict(replay.state_dict())
    key = random.key(torch.arange(1), 3)
    left, right = replay.sample(key), restored.sample(key)
    assert torch.equal(left.extras["index"], right.extras["index"])
    assert torch.equal(left.extras["weight"], right.extras["weight"])


def test_it_traces_without_graph_breaks() -> None:
    replay = filled()

    def draw_and_learn(key: Tensor) -> Tensor:
        batch = replay.sample(key)
        replay.feedback(batch, batch.reward.abs())
        return batch.reward

    torch.compiler.reset()
    run = torch.compile(draw_and_learn, fullgraph=True, backend="eager", dynamic=False)
    assert run(random.key(torch.arange(1), 3)).shape == (1, 1200)


@pytest.mark.parametrize("option", [{"alpha": 1.1}, {"beta": -0.1}, {"alpha": float("nan")}])
def test_wrong_exponents_are_named(option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"(alpha|beta) must lie in \[0, 1\]"):
        Prioritised(1, 4, beta_draws=1, **option)
