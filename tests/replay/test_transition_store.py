"""The replay of whole transitions, against a list of transitions worked out in plain Python."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import DISCOUNT, Episode, Stream, assert_uniform, keys, sample, scripts, tensors, transitions
from torch import Tensor

from rlsuite import random
from rlsuite.experience import Step
from rlsuite.replay.replay import Replay
from rlsuite.replay.transition_store import TransitionStore

SHORT = [Episode((False, False, False), True), Episode((False, True, False, False), False), Episode((False,), False)]


@functools.cache
def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
    return torch.tensor([seed, environment, episode, time], dtype=torch.float32)


def replay(capacity: int, seeds: int = 1, num_envs: int = 1, n_step: int = 1, **options: object) -> TransitionStore:
    settings = {"observation_shape": (4,), "discount": DISCOUNT} | options
    return TransitionStore(capacity, seeds=seeds, num_envs=num_envs, n_step=n_step, **settings)  # type: ignore[arg-type]


def drawn(memory: TransitionStore, seed: int, seeds: int, batch_size: int = 1200) -> list[tuple[object, ...]]:
    return keys(sample(memory, random.key(torch.arange(seeds), 5), batch_size), seed)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_samples_are_the_newest_transitions_of_the_oracle(data: st.DataObject) -> None:
    seeds, num_envs = data.draw(st.integers(1, 2), "seeds"), data.draw(st.integers(1, 3), "num_envs")
    n_step = data.draw(st.integers(1, 4), "n_step")
    capacity = data.draw(st.integers(num_envs * n_step, num_envs * n_step + 25), "capacity")
    mode = data.draw(st.sampled_from(["next_step", "same_step"]), "mode")
    cuts = data.draw(st.sets(st.integers(1, 40), max_size=2), "cuts")
    stream = Stream(data.draw(scripts(seeds, num_envs), "script"), mode, observe)
    memory = replay(capacity, seeds, num_envs, n_step)
    for vector_step in range(1, 41):
        memory.add(*stream.step())
        if vector_step in cuts:
            stream.cut()
            memory.cut()
        if vector_step % 13 and vector_step not in cuts:
            continue
        for seed in range(seeds):
            found = sorted(transitions(stream, seed, n_step), key=lambda t: (t.tick, t.environment, t.start))
            newest = found[-capacity:]
            assert memory.size[seed] == len(newest)
            if newest:
                assert_uniform(drawn(memory, seed, seeds), {t.key for t in newest})


@pytest.mark.parametrize("n_step", [1, 3])
def test_next_step_and_same_step_streams_store_the_same_transitions(n_step: int) -> None:
    stored = []
    for mode in ("next_step", "same_step"):
        stream = Stream([[SHORT, SHORT[1:]]], mode, observe)
        memory = replay(1000, num_envs=2, n_step=n_step)
        while min(len(player.taken) for player in stream.players[0]) < 40:
            memory.add(*stream.step())
        whole = {t.key for t in transitions(stream, 0, n_step) if t.start < 35}
        stored.append(set(drawn(memory, 0, 1, 6000)) & whole)
        assert stored[-1] == whole
    assert stored[0] == stored[1]


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_seed_among_others_is_what_it_is_alone(n_step: int) -> None:
    scripts_of_seeds = [[SHORT, SHORT[1:]], [SHORT[2:], SHORT], [SHORT[::-1], SHORT]]
    together = Stream(scripts_of_seeds, "next_step", observe)
    alone = Stream(scripts_of_seeds[1:2], "next_step", observe, seeds=[1])
    discounts = torch.tensor([0.25, 0.5, 1.0])
    all_three = replay(12, 3, 2, n_step, discount=discounts)
    one = replay(12, 1, 2, n_step, discount=discounts[1:2])
    for _ in range(30):
        all_three.add(*together.step())
        one.add(*alone.step())
    sample_keys = random.key(torch.arange(3), 9)
    batch, single = sample(all_three, sample_keys, 64), sample(one, sample_keys[1:2], 64)
    for value, expected in zip(tensors(batch), tensors(single), strict=True):
        assert torch.equal(value[1:2], expected)


@pytest.mark.parametrize(("n_step", "steps"), [(1, 5), (1, 50), (3, 5), (3, 50)])
def test_a_restored_replay_goes_on_identically(n_step: int, steps: int) -> None:
    stream = Stream([[SHORT], [SHORT[1:]]], "next_step", observe)
    memory, restored = replay(20, 2, 1, n_step), replay(20, 2, 1, n_step)
    for _ in range(steps):
        memory.add(*stream.step())
    restored.load_state_dict(memory.state_dict())
    for _ in range(9):
        step = stream.step()
        memory.add(*step)
        restored.add(*step)
    sample_keys = random.key(torch.arange(2), 1)
    for left, right in zip(
        tensors(sample(memory, sample_keys, 100)),
        tensors(sample(restored, sample_keys, 100)),
        strict=True,
    ):
        assert torch.equal(left, right)
    assert torch.equal(memory.size, restored.size)


def test_only_the_filled_part_is_saved() -> None:
    memory, stream = replay(100_000), Stream([[SHORT]], "same_step", observe)
    for _ in range(10):
        memory.add(*stream.step())
    tables = memory.state_dict()["transitions"]["rings"].values()
    assert [table.shape[:2] for table in tables] == [(1, 10), (1, 10)]


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="transitions/written"):
        replay(50, seeds=2).load_state_dict(
            replay(50).state_dict() | {"accumulator": replay(50, 2).state_dict()["accumulator"]}
        )
    with pytest.raises(ValueError, match="accumulator/observation"):
        replay(50, n_step=2).load_state_dict(replay(50, n_step=3).state_dict())
    full, stream = replay(50), Stream([[SHORT]], "same_step", observe)
    for _ in range(50):
        full.add(*stream.step())
    with pytest.raises(ValueError, match="rings/table_0"):
        replay(40).load_state_dict(full.state_dict())


def test_images_stay_bytes_and_actions_come_back_exactly() -> None:
    images = TransitionStore(
        1000, seeds=1, num_envs=2, observation_shape=(4, 10, 10), observation_dtype=torch.uint8, discount=0.9
    )
    assert images.nbytes <= 1002 * (2 * 400 + 4 + 4 + 8)
    seen = torch.randint(0, 256, (1, 2, 4, 10, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    actions = torch.tensor([[2**53 + 1, -7]])
    no = torch.zeros(1, 2, dtype=torch.bool)
    images.add(seen, actions, Step(255 - seen, 255 - seen, torch.tensor([[0.1, 0.2]]), no, no, ~no, ~no, no))
    batch = sample(images, random.key(torch.tensor([1])), 50)
    which = (batch.action[0] == -7).long()
    assert batch.observation.dtype == torch.uint8
    assert batch.action.dtype == torch.int64
    assert 0 < which.sum() < 50
    assert torch.equal(batch.observation[0], seen[0, which])
    assert torch.equal(batch.next_observation[0], 255 - seen[0, which])
    assert torch.equal(batch.action[0], actions[0, which])
    assert torch.equal(batch.reward[0], torch.tensor([0.1, 0.2])[which])
    assert torch.equal(batch.discount, torch.full((1, 50), 0.9))


def test_vectors_of_actions_come_back_exactly() -> None:
    memory = replay(10, action_shape=(3,), action_dtype=torch.float32)
    action = torch.tensor([[[0.1, -0.2, 1e-30]]])
    no = torch.zeros(1, 1, dtype=torch.bool)
    observation = torch.zeros(1, 1, 4)
    memory.add(observation, action, Step(observation, observation, torch.ones(1, 1), no, no, ~no, ~no, no))
    assert torch.equal(sample(memory, random.key(torch.tensor([1])), 2).action, action.expand(1, 2, 3))


@pytest.mark.parametrize("n_step", [1, 3])
def test_add_and_sample_trace_without_graph_breaks(n_step: int) -> None:
    torch.compiler.reset()
    stream = Stream([[SHORT, SHORT[1:]]], "next_step", observe)
    eager, traced = replay(15, num_envs=2, n_step=n_step), replay(15, num_envs=2, n_step=n_step)
    add = torch.compile(traced.add, fullgraph=True, backend="eager", dynamic=False)
    draw = torch.compile(Replay(traced, 32).sample, fullgraph=True, backend="eager", dynamic=False)
    for _ in range(30):
        step = stream.step()
        eager.add(*step)
        add(*step)
    sample_key = random.key(torch.tensor([3]))
    for left, right in zip(tensors(sample(eager, sample_key, 32)), tensors(draw(sample_key)), strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 5, "num_envs": 2, "n_step": 3}, "num_envs \\* n_step = 6"),
        ({"capacity": 5, "seeds": 0}, "at least one seed"),
        ({"capacity": 5, "n_step": 0}, "n_step must be at least 1"),
        ({"capacity": 5, "discount": 1.5}, "discount must lie in"),
        ({"capacity": 5, "discount": torch.tensor([0.5, 0.5])}, "one for each of 1 seeds"),
    ],
)
def test_wrong_numbers_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay(**options)  # type: ignore[arg-type]
