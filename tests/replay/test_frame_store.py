"""The frame-deduplicated replay, against lists of frames and transitions worked out in plain Python."""

import dataclasses
import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_oracle import (
    DISCOUNT,
    Episode,
    Stream,
    Transition,
    assert_uniform,
    keys,
    sample,
    scripts,
    tensors,
    transitions,
)
from torch import Tensor

from rlsuite import random
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.replay import Replay

FRAME = (2, 3)
SHORT = [Episode((False, False, False), True), Episode((False, True, False, False), False), Episode((False,), False)]
ENDLESS = [Episode((False,) * 250, True)]


def stacked(stack: int, padding: str = "zero") -> Callable[[int, int, int, int], Tensor]:
    def frame(seed: int, environment: int, episode: int, time: int) -> Tensor:
        if time < 0 and padding == "zero":
            return torch.zeros(FRAME, dtype=torch.uint8)
        numbers = [seed + 1, environment + 1, episode, max(time, 0), 7, 9]
        return torch.tensor(numbers, dtype=torch.uint8).view(FRAME)

    @functools.cache
    def observe(seed: int, environment: int, episode: int, time: int) -> Tensor:
        return torch.stack([frame(seed, environment, episode, time - back) for back in reversed(range(stack))])

    return observe


def replay(
    capacity: int, seeds: int = 1, num_envs: int = 1, stack: int = 2, n_step: int = 1, **options: object
) -> FrameStore:
    settings = {"frame_shape": FRAME, "discount": DISCOUNT} | options
    return FrameStore(capacity, seeds=seeds, num_envs=num_envs, stack=stack, n_step=n_step, **settings)  # type: ignore[arg-type]


def drawn(memory: FrameStore, seed: int, seeds: int, batch_size: int = 1200) -> list[tuple[object, ...]]:
    return keys(sample(memory, random.key(torch.arange(seeds), 5), batch_size), seed)


def live(stream: Stream, seed: int, capacity: int, stack: int, n_step: int) -> list[Transition]:
    """The transitions of a seed whose frames are among the newest that the ring of their environment keeps."""
    slots = -(-capacity // len(stream.players[seed])) + stack + n_step
    found = []
    for transition in transitions(stream, seed, n_step):
        taken = stream.players[seed][transition.environment].taken
        start = taken[transition.start]

        def frames(number: int, taken: list = taken) -> int:
            """Frames that the first ``number`` steps take: each episode's last observation takes one more."""
            return number + sum(step.ended for step in taken[:number])

        oldest_needed = frames(transition.start) - min(start.time, stack - 1)
        if oldest_needed > frames(len(taken)) - slots:
            found.append(transition)
    return found


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_samples_are_the_live_transitions_of_the_oracle(data: st.DataObject) -> None:
    seeds, num_envs = data.draw(st.integers(1, 2), "seeds"), data.draw(st.integers(1, 3), "num_envs")
    stack, n_step = data.draw(st.integers(1, 4), "stack"), data.draw(st.integers(1, 4), "n_step")
    capacity = data.draw(st.integers(num_envs, num_envs + 30), "capacity")
    mode = data.draw(st.sampled_from(["next_step", "same_step"]), "mode")
    padding = data.draw(st.sampled_from(["zero", "first"]), "padding")
    cuts = data.draw(st.sets(st.integers(1, 52), max_size=2), "cuts")
    stream = Stream(data.draw(scripts(seeds, num_envs), "script"), mode, stacked(stack, padding))
    memory = replay(capacity, seeds, num_envs, stack, n_step, padding=padding)
    for vector_step in range(1, 53):
        memory.add(*stream.step())
        if vector_step in cuts:
            stream.cut()
            memory.cut()
        if vector_step % 13 and vector_step not in cuts:
            continue
        for seed in range(seeds):
            expected = {t.key for t in live(stream, seed, capacity, stack, n_step)}
            assert memory.size[seed] == len(expected)
            if expected:
                assert_uniform(drawn(memory, seed, seeds), expected)


@pytest.mark.parametrize("n_step", [1, 3])
def test_next_step_and_same_step_streams_store_the_same_transitions(n_step: int) -> None:
    stored = []
    for mode in ("next_step", "same_step"):
        stream = Stream([[SHORT]], mode, stacked(3))
        memory = replay(20, stack=3, n_step=n_step)
        while len(stream.players[0][0].taken) < 61:
            memory.add(*stream.step())
        stored.append(set(drawn(memory, 0, 1)))
    assert len(stored[0]) > 10
    assert stored[0] == stored[1]


@pytest.mark.parametrize(("stack", "n_step"), [(1, 1), (4, 1), (4, 3)])
def test_capacity_counts_env_steps(stack: int, n_step: int) -> None:
    stream = Stream([[ENDLESS, ENDLESS]], "same_step", stacked(stack))
    memory = replay(30, num_envs=2, stack=stack, n_step=n_step)
    for _ in range(100):
        memory.add(*stream.step())
    assert 30 <= memory.size[0] <= 32


def test_a_seed_among_others_is_what_it_is_alone() -> None:
    scripts_of_seeds = [[SHORT, SHORT[1:]], [SHORT[2:], SHORT], [SHORT[::-1], SHORT]]
    together = Stream(scripts_of_seeds, "next_step", stacked(2))
    alone = Stream(scripts_of_seeds[1:2], "next_step", stacked(2), seeds=[1])
    discounts = torch.tensor([0.25, 0.5, 1.0])
    all_three, one = replay(16, 3, 2, discount=discounts), replay(16, 1, 2, discount=discounts[1:2])
    for _ in range(40):
        all_three.add(*together.step())
        one.add(*alone.step())
    sample_keys = random.key(torch.arange(3), 9)
    batch, single = sample(all_three, sample_keys, 64), sample(one, sample_keys[1:2], 64)
    for value, expected in zip(tensors(batch), tensors(single), strict=True):
        assert torch.equal(value[1:2], expected)


@pytest.mark.parametrize("n_step", [1, 3])
def test_frames_in_colour_are_kept_as_those_in_grey_are(n_step: int) -> None:
    colours = (3, 2, *FRAME[1:])
    grey_frame = (6, *FRAME[1:])
    grey = FrameStore(20, seeds=1, num_envs=2, stack=2, frame_shape=grey_frame, discount=DISCOUNT, n_step=n_step)
    colour = FrameStore(20, seeds=1, num_envs=2, stack=2, frame_shape=colours, discount=DISCOUNT, n_step=n_step)
    stream = Stream([[SHORT, SHORT[1:]]], "same_step", stacked(2))
    for number in range(30):
        observation, action, step = stream.step()
        pixels = torch.randint(256, (2, 1, 2, 2, *grey_frame), generator=torch.Generator().manual_seed(number))

        def shown(frames: Tensor) -> tuple[Tensor, Tensor]:
            return frames.byte(), frames.byte().view(1, 2, 6, 2, *FRAME[1:])

        seen, following = shown(pixels[0]), shown(pixels[1])
        assert observation.shape[:2] == (1, 2)
        for store, now, then in zip((grey, colour), seen, following, strict=True):
            store.add(now, action, dataclasses.replace(step, observation=then, next_observation=then))
    slot = grey.slot(torch.arange(int(grey.size)).view(1, -1))
    one, other = grey.read(slot), colour.read(slot)
    assert torch.equal(one.observation.view_as(other.observation), other.observation)
    assert torch.equal(one.next_observation.view_as(other.next_observation), other.next_observation)
    assert other.observation.shape == (1, slot.shape[1], 6, 2, *FRAME[1:])
    assert grey.nbytes == colour.nbytes


@pytest.mark.parametrize(("n_step", "steps"), [(1, 7), (1, 70), (3, 7), (3, 70)])
def test_a_restored_replay_goes_on_identically(n_step: int, steps: int) -> None:
    stream = Stream([[SHORT], [SHORT[1:]]], "next_step", stacked(2))
    memory, restored = replay(20, 2, 1, 2, n_step), replay(20, 2, 1, 2, n_step)
    for _ in range(steps):
        memory.add(*stream.step())
    restored.load_state_dict(memory.state_dict())
    sample_keys = random.key(torch.arange(2), 1)
    for _ in range(12):
        for left, right in zip(
            tensors(sample(memory, sample_keys, 100)),
            tensors(sample(restored, sample_keys, 100)),
            strict=True,
        ):
            assert torch.equal(left, right)
        step = stream.step()
        memory.add(*step)
        restored.add(*step)


def test_only_filled_slots_are_saved_and_full_frames_are_not_copied() -> None:
    memory, stream = replay(200), Stream([[ENDLESS]], "same_step", stacked(2))
    for _ in range(10):
        memory.add(*stream.step())
    (saved,) = memory.state_dict()["frames"].values()
    assert saved.shape == (1, 11, *FRAME)
    for _ in range(200):
        memory.add(*stream.step())
    (saved,), (again,) = (memory.state_dict()["frames"].values() for _ in range(2))
    assert saved.data_ptr() == again.data_ptr()
    assert saved.untyped_storage().nbytes() == saved.nbytes


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="accumulator/observation"):
        replay(50, stack=2).load_state_dict(replay(50, stack=3).state_dict())
    with pytest.raises(ValueError, match="rings/table_0"):
        replay(50).load_state_dict(replay(50, frame_shape=(3, 3)).state_dict())


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_million_atari_steps_take_at_most_7_3_gigabytes(n_step: int) -> None:
    def nbytes(capacity: int) -> int:
        atari = {"stack": 4, "frame_shape": (84, 84)}
        return replay(capacity, num_envs=8, n_step=n_step, **atari).nbytes  # type: ignore[arg-type]

    each = (nbytes(16_000) - nbytes(8_000)) / 8_000
    assert nbytes(8_000) + each * (1_000_000 - 8_000) <= 7.3e9


@pytest.mark.parametrize(("padding", "n_step"), [("zero", 1), ("first", 3)])
def test_add_and_sample_trace_without_graph_breaks(padding: str, n_step: int) -> None:
    torch.compiler.reset()
    stream = Stream([[SHORT, SHORT[1:]]], "next_step", stacked(2, padding))
    eager, traced = (replay(14, num_envs=2, n_step=n_step, padding=padding) for _ in range(2))
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
        ({"capacity": 5, "stack": 0}, "stack must be positive"),
        ({"capacity": 1, "num_envs": 2}, "at least one env step an environment"),
        ({"capacity": 5, "padding": "none"}, 'padding must be "zero" or "first"'),
        ({"capacity": 5, "n_step": 0}, "n_step must be at least 1"),
    ],
)
def test_wrong_numbers_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay(**options)  # type: ignore[arg-type]
