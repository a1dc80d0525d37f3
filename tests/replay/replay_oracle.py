"""Scripted streams of experience, and what a replay of them must hold, worked out in plain Python.

Nothing here shares an idea with the replays: transitions are found by looking ahead in lists of steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

import torch
from hypothesis import strategies as st
from torch import Tensor

from rlsuite.experience import Batch, Step
from rlsuite.replay.replay import Replay, Store

DISCOUNT = 0.5  # with whole rewards, every return is exact in float32
Mode = Literal["next_step", "same_step"]


@dataclass(frozen=True)
class Episode:
    lost_lives: tuple[bool, ...]  # one a step: the bootstrap stops, the episode goes on
    terminated: bool


def episodes() -> st.SearchStrategy[list[Episode]]:
    lives = st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=7).map(tuple)
    return st.lists(st.builds(Episode, lives, st.booleans()), min_size=1, max_size=5)


def scripts(seeds: int, num_envs: int) -> st.SearchStrategy[list[list[list[Episode]]]]:
    """Episodes ``[S][E][...]``; an environment plays its own over and over."""
    one_seed = st.lists(episodes(), min_size=num_envs, max_size=num_envs)
    return st.lists(one_seed, min_size=seeds, max_size=seeds)


@dataclass
class Taken:
    """One valid step of one environment."""

    episode: int
    time: int  # within the episode
    action: int
    reward: float
    ended: bool
    bootstrap: bool
    tick: int  # of the vector step
    cut_tick: int | None = None  # of the cut that ended the episode here


class _Player:
    """One environment: plays its script and notes every valid step."""

    def __init__(self, script: list[Episode], mode: Mode) -> None:
        self.script, self.mode = script, mode
        self.episode, self.time, self.awaits_reset = 0, 0, False
        self.taken: list[Taken] = []

    def step(self, tick: int) -> tuple[tuple[int, int], tuple[int, int], Taken | None]:
        """The (episode, time) to act on next and of the true next observation, and the step unless it is a phantom."""
        if self.awaits_reset:
            self.awaits_reset = False
            self.episode, self.time = self.episode + 1, 0
            return (self.episode, 0), (self.episode, 0), None
        plan = self.script[self.episode % len(self.script)]
        ended = self.time == len(plan.lost_lives) - 1
        lost = plan.lost_lives[self.time] or (ended and plan.terminated)
        taken = Taken(
            self.episode,
            self.time,
            action=(5 * self.episode + 3 * self.time) % 17,
            reward=float((7 * self.episode + 4 * self.time) % 9 - 4),
            ended=ended,
            bootstrap=not lost,
            tick=tick,
        )
        self.taken.append(taken)
        self.time += 1
        next_observation = (self.episode, self.time)
        if ended and self.mode == "same_step":
            self.episode, self.time = self.episode + 1, 0
        self.awaits_reset = ended and self.mode == "next_step"
        return (self.episode, self.time), next_observation, taken

    def cut(self, tick: int) -> None:
        if self.taken and not self.taken[-1].ended:
            self.taken[-1].ended, self.taken[-1].cut_tick = True, tick
        self.episode, self.time, self.awaits_reset = self.episode + 1, 0, False


Observe = Callable[[int, int, int, int], Tensor]  # (seed, environment, episode, time) -> observation


class Stream:
    """S x E scripted environments under one autoreset mode; ``seeds`` names the seeds, for their observations."""

    def __init__(
        self, script: list[list[list[Episode]]], mode: Mode, observe: Observe, seeds: list[int] | None = None
    ) -> None:
        self.observe, self.seeds = observe, seeds or list(range(len(script)))
        self.players = [[_Player(own, mode) for own in of_seed] for of_seed in script]
        self._ticks = count()
        self.ticks = 0

    def _grid(self, value: Callable[[int, int], Tensor]) -> Tensor:
        return torch.stack([torch.stack([value(s, e) for e in range(len(p))]) for s, p in enumerate(self.players)])

    def step(self) -> tuple[Tensor, Tensor, Step]:
        """What a replay is given for one vector step: observation, action, step."""
        tick = next(self._ticks)
        players = self.players

        def observation() -> Tensor:
            return self._grid(lambda s, e: self.observe(self.seeds[s], e, players[s][e].episode, players[s][e].time))

        before = observation()
        results = [[player.step(tick) for player in of_seed] for of_seed in players]
        nothing = Taken(0, 0, action=99, reward=99.0, ended=tick % 3 == 0, bootstrap=tick % 2 == 0, tick=tick)

        def numbers(name: str, dtype: torch.dtype) -> Tensor:
            return torch.tensor([[getattr(r[2] or nothing, name) for r in rs] for rs in results], dtype=dtype)

        ended, bootstrap = numbers("ended", torch.bool), numbers("bootstrap", torch.bool)
        step = Step(
            observation=observation(),
            next_observation=self._grid(lambda s, e: self.observe(self.seeds[s], e, *results[s][e][1])),
            reward=numbers("reward", torch.float32),
            terminated=ended & ~bootstrap,
            truncated=ended & bootstrap,
            bootstrap=bootstrap,
            valid=torch.tensor([[r[2] is not None for r in rs] for rs in results]),
            began=torch.tensor([[player.time == 0 for player in of_seed] for of_seed in players]),
        )
        return before, numbers("action", torch.int64), step

    def cut(self) -> None:
        tick = next(self._ticks)
        for player in (player for of_seed in self.players for player in of_seed):
            player.cut(tick)


@dataclass(frozen=True)
class Transition:
    environment: int
    start: int  # number of the first step among the environment's valid steps
    steps: int
    tick: int  # when it was complete
    key: tuple[object, ...]  # what a sample of it looks like


def transitions(stream: Stream, seed: int, n_step: int) -> Iterator[Transition]:
    """Every complete n-step transition of a seed, found by looking ahead from each of its steps."""
    for environment, player in enumerate(stream.players[seed]):

        def look(episode: int, time: int, environment: int = environment) -> bytes:
            return _bytes(stream.observe(stream.seeds[seed], environment, episode, time))

        for start, first in enumerate(player.taken):
            value = 0.0
            for steps, last in enumerate(player.taken[start : start + n_step], start=1):
                value += DISCOUNT ** (steps - 1) * last.reward
                ended_by_now = last.ended and last.cut_tick is None
                tick = last.tick if ended_by_now or not last.bootstrap or steps == n_step else last.cut_tick
                if tick is not None:
                    discount = DISCOUNT**steps if last.bootstrap else 0.0
                    seen, reached = look(first.episode, first.time), look(last.episode, last.time + 1)
                    key = (seen, first.action, value, discount, reached)
                    yield Transition(environment, start, steps, tick, key)
                    break


def keys(batch: Batch, seed: int) -> list[tuple[object, ...]]:
    """Samples of one seed in the form of ``Transition.key``."""
    columns = (batch.action[seed].tolist(), batch.reward[seed].tolist(), batch.discount[seed].tolist())
    seen, reached = batch.observation[seed], batch.next_observation[seed]
    return [(_bytes(o), a, r, d, _bytes(p)) for o, a, r, d, p in zip(seen, *columns, reached, strict=True)]


def _bytes(observation: Tensor) -> bytes:
    return observation.contiguous().numpy().tobytes()


def assert_uniform(samples: list[tuple[object, ...]], expected: set[tuple[object, ...]]) -> None:
    """All of ``expected`` and nothing else was drawn, each about as often: within 6 standard deviations."""
    counts: dict[tuple[object, ...], int] = {}
    for sample in samples:
        counts[sample] = counts.get(sample, 0) + 1
    assert counts.keys() == expected
    share = 1 / len(expected)
    deviation = (len(samples) * share * (1 - share)) ** 0.5
    assert all(abs(drawn - len(samples) * share) <= 6 * deviation for drawn in counts.values())


def sample(store: Store, key: Tensor, batch_size: int) -> Batch:
    """A uniform batch of a store."""
    return Replay(store, batch_size).sample(key)


def tensors(batch: Batch) -> list[Tensor]:
    """The tensors of a batch, without extras."""
    return [value for value in vars(batch).values() if isinstance(value, Tensor)]
