"""A player's process: acts in environments of its own with the learner's weights, and fills chunks of steps."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor

from rlsuite.agent import Acted, ActingState, TensorSpec
from rlsuite.experience import Environments, Step
from rlsuite.training.collector import Collector
from rlsuite.training.messages import arrays, begin, sendable, tensors
from rlsuite.training.shared_tensors import SharedTensors

FLAGS = ("terminated", "truncated", "bootstrap", "valid", "began")
EXTRAS = "extras."
SUMS = ("return_sum", "length_sum", "episodes")  # of the episodes that ended in a chunk

Build = Callable[[int, int], tuple[Any, Environments]]
"""Makes the agent and the environments of a player, given its number and how many were lost before it."""


@dataclass(frozen=True)
class Way:
    """Settings of all players of a learner.

    Chunk r, counted from 0, lies in copy r modulo L + 1 of a player's chunks. That copy is free, since a player is
    asked for chunk r only after round r - L - 1. So it is with the weights of each number of rounds.
    """

    players: int  # N
    num_envs: int  # E, of each player
    vector_steps: int  # K, of a chunk
    lag: int  # L
    clip_rewards: bool
    newest: int | None  # entries of an observation's first axis, the last ones, that are kept

    def place(self, number: int) -> int:
        """The copy in which a chunk lies, or the weights after a number of rounds."""
        return number % (self.lag + 1)

    def rounds_before(self, chunk: int) -> int:
        """The rounds after which the learner has the weights that a chunk is played with."""
        return max(chunk - self.lag, 0)

    def chunk_specs(
        self, seeds: int, observation: TensorSpec, action: TensorSpec, extras: Mapping[str, TensorSpec]
    ) -> dict[str, TensorSpec]:
        """A chunk's tensors: of each step one observation, and the episode's last one where it ended.

        ``observation`` is ``[S, K + 1, E, ...]``, the last what is acted on next; the others are ``[S, K, E, ...]``.
        """
        lead = seeds, self.vector_steps, self.num_envs
        seen = observation.shape if self.newest is None else (self.newest, *observation.shape[1:])
        return {
            "observation": TensorSpec((seeds, self.vector_steps + 1, self.num_envs, *seen), observation.dtype),
            "last_observation": TensorSpec((*lead, *seen), observation.dtype),  # only where an episode ended
            "action": TensorSpec((*lead, *action.shape), action.dtype),
            "reward": TensorSpec(lead),
            **{name: TensorSpec(lead, torch.bool) for name in FLAGS},
            **{EXTRAS + name: TensorSpec((*lead, *spec.shape), spec.dtype) for name, spec in extras.items()},
            **{name: TensorSpec((seeds,)) for name in SUMS},
        }


def acting_tensors(agent: Any) -> dict[str, Tensor]:
    """The tensors of an agent's state that it acts with, by name: all, unless it names the entries (``acts_with``)."""
    state = agent.state_dict()
    return _flat({name: state[name] for name in getattr(agent, "acts_with", state)})


def _flat(state: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, entry in state.items():
        if isinstance(entry, Mapping):
            found |= _flat(entry, f"{prefix}{name}/")
        elif isinstance(entry, Tensor):
            found[prefix + name] = entry
    return found


def _with(state: Mapping[str, Any], weights: Mapping[str, Tensor], prefix: str = "") -> dict[str, Any]:
    """A state with other tensors where ``weights`` has them."""
    return {
        name: _with(entry, weights, f"{prefix}{name}/")
        if isinstance(entry, Mapping)
        else weights.get(prefix + name, entry)
        for name, entry in state.items()
    }


class _Chunk:
    """Writes the steps that a collector takes into a chunk; stands where else a replay is."""

    def __init__(self, chunks: SharedTensors, newest: int | None) -> None:
        self.begins_anew = True  # the first step does not follow the last one of the chunk before
        self._chunks, self._newest = chunks, newest
        self._tensors: dict[str, Tensor] = {}
        self._row = 0

    def open(self, place: int) -> dict[str, Tensor]:
        self._tensors, self._row = self._chunks.copy(place), 0
        return self._tensors

    def add(self, observation: Tensor, action: Tensor, step: Step, extras: dict[str, Tensor]) -> None:
        tensors, row = self._tensors, self._row
        tensors["observation"][:, row] = self._kept(observation)
        tensors["observation"][:, row + 1] = self._kept(step.observation)
        ended = step.ended
        if ended.any():
            tensors["last_observation"][:, row][ended] = self._kept(step.next_observation)[ended]
        tensors["action"][:, row] = action
        for name in ("reward", *FLAGS):
            tensors[name][:, row] = getattr(step, name)
        for name, extra in extras.items():
            tensors[EXTRAS + name][:, row] = extra
        self._row += 1

    def _kept(self, observation: Tensor) -> Tensor:
        return observation if self._newest is None else observation[:, :, -self._newest :]

    def cut(self) -> None:
        self.begins_anew = True

    def state_dict(self) -> dict[str, Any]:
        return {"begins_anew": self.begins_anew}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.begins_anew = bool(state["begins_anew"])

    def sample(self, key: Tensor) -> Any:
        raise NotImplementedError("players do not learn")

    def feedback(self, batch: Any, priority: Tensor) -> None:
        raise NotImplementedError("players do not learn")


class _OneOfMany:
    """An agent that acts in some of a seed's environments: env steps are those of all, which keys differ by."""

    def __init__(self, agent: Any, players: int, first: int) -> None:
        self.agent, self._players, self._first = agent, players, first

    def act(self, observation: Tensor, state: ActingState, began: Tensor, env_step: Tensor, *, explore: bool) -> Acted:
        return self.agent.act(observation, state, began, env_step * self._players + self._first, explore=explore)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)


class _Player:
    def __init__(
        self, number: int, built: tuple[Any, Environments], shared: tuple[SharedTensors, ...], way: Way
    ) -> None:
        chunks, self._weights = shared
        agent, environments = built
        self._agent, self._way = agent, way
        self._chunk = _Chunk(chunks, way.newest)
        self._rounds: int | None = None  # that the learner had when it had the present weights
        self._collector = Collector(
            _OneOfMany(agent, way.players, number * way.num_envs),
            environments,
            self._chunk,
            vector_steps=way.vector_steps,
            acts_ahead=False,
            clip_rewards=way.clip_rewards,
        )

    def play(self, number: int) -> bool:
        """Play a chunk; returns whether it begins anew."""
        way, collector = self._way, self._collector
        rounds = way.rounds_before(number)
        if rounds != self._rounds:
            self._agent.load_state_dict(_with(self._agent.state_dict(), self._weights.copy(way.place(rounds))))
            self._rounds = rounds
        collector.count_from(number * way.vector_steps * way.num_envs)
        chunk = self._chunk.open(way.place(number))
        collector.collect()
        collector.finish_round()
        for name in SUMS:
            total = getattr(collector.episodes, name)
            chunk[name].copy_(total)
            total.zero_()
        begins_anew, self._chunk.begins_anew = self._chunk.begins_anew, False
        return begins_anew

    def state_dict(self) -> dict[str, Any]:
        return arrays(self._collector.state_dict())

    def load_state_dict(self, state: dict[str, Any], is_cut: bool) -> None:
        """Go back to a saved state; ``is_cut`` where some of the chunks before it are not there."""
        self._rounds = None
        self._collector.load_state_dict(tensors(state))
        if is_cut:
            self._chunk.cut()

    def close(self) -> None:
        self._collector.close()


def serve(
    connection: Connection, number: int, lives: int, build: Build, shared: tuple[SharedTensors, ...], way: Way
) -> None:
    """Do what the learner asks for, until it asks for nothing more.

    Each request is a method of ``_Player`` with an argument. An answer is its result, with the seconds for which this
    process waited for the request, or an exception.
    """
    begin()
    with contextlib.suppress(EOFError, OSError):  # the learner has ended
        try:
            player = _Player(number, build(number, lives), shared, way)
        except Exception as error:
            connection.send(sendable(error))
            return
        connection.send((None, 0.0))
        since = time.monotonic()
        while (request := connection.recv()) is not None:
            waited = time.monotonic() - since
            method, arguments = request
            try:
                connection.send((getattr(player, method)(*arguments), waited))
            except Exception as error:
                connection.send(sendable(error))
            since = time.monotonic()
        player.close()
