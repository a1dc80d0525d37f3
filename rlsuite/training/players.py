"""Players: processes that act for one learner, which learns from the experience of all (Horgan et al., 2018).

A round takes one *chunk*, K vector steps, from each of N players, which work ahead: chunk r, counted from 0, is played
with the weights that the learner had after r - L rounds, whoever is quick or slow. What is learned depends on N, E, K
and the lag L, and never on time.

Shapes: S seeds, E environments of a seed in each player, N x E environments of a seed in the replay.
"""

import atexit
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor

from rlsuite.agent import TensorSpec, extras_of, rehearse
from rlsuite.experience import Step
from rlsuite.replay.replay import Replay
from rlsuite.state import check, restore
from rlsuite.tracking.notices import say
from rlsuite.training.collector import spec_of
from rlsuite.training.episodes import EpisodeStatistics
from rlsuite.training.messages import arrays, end, how_ended, tensors
from rlsuite.training.player import EXTRAS, FLAGS, SUMS, Build, Way, acting_tensors, serve
from rlsuite.training.rounds import Rounds
from rlsuite.training.shared_tensors import SharedTensors
from rlsuite.training.signals import deaf
from rlsuite.training.stopwatch import Stopwatch
from rlsuite.training.worker import Measured, TrainingError

Chunk = dict[str, Tensor]


class Players(Rounds):
    """A source whose steps are taken by players.

    A player whose process ends is replaced. Until the new one is up, its environments have no valid steps; their
    episodes are cut, and the new one begins others.

    Args:
        agent: the learner's; players have copies, which get its weights.
        replay: of N x E environments, player 0's first.
        build: called in the players' processes, so it must be picklable.
        observation, action: spaces of an environment.
        seeds: S.
        way: how they play.
        updates_a_round: G.
        learning_starts_env_steps, save_experience: see ``Collector``.
    """

    def __init__(
        self,
        agent: Any,
        replay: Replay,
        build: Build,
        *,
        observation: Space[Any],
        action: Space[Any],
        seeds: Sequence[int],
        way: Way,
        updates_a_round: int = 1,
        learning_starts_env_steps: int = 0,
        save_experience: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        """Raises ``ValueError`` where the agent lacks a part, and what ``build`` raises."""
        super().__init__(
            replay,
            seeds,
            env_steps_a_round=way.vector_steps * way.num_envs * way.players,
            updates_a_round=updates_a_round,
            learning_starts_env_steps=learning_starts_env_steps,
            save_experience=save_experience,
            device=device,
        )
        seen, done = spec_of(observation), spec_of(action)
        rehearse(agent, len(seeds), way.num_envs, seen, done, device)
        self.agent, self.replay, self.way, self._device = agent, replay, way, device
        self.episodes = EpisodeStatistics(len(seeds), 0, device)  # of which players send the sums
        self._round = 0
        self._chunks = 0  # of the round under way
        self._has_begun = False
        self._watch, self._since = Stopwatch(), time.monotonic()
        acted_with = {name: TensorSpec(tuple(each.shape), each.dtype) for name, each in acting_tensors(agent).items()}
        self._weights = SharedTensors(acted_with, way.lag + 1)
        specs = way.chunk_specs(len(seeds), seen, done, extras_of(agent))
        self._lines = [_Line(number, build, specs, self._weights, way) for number in range(way.players)]
        atexit.register(self.close)  # left alone, players would wait for requests at the end of the program
        try:
            for line in self._lines:
                line.start()
            for line in self._lines:
                line.wait_until_up()
        except BaseException:
            self.close()
            raise

    def collect(self) -> None:
        """Take a chunk of each player, and store their steps."""
        if not self._has_begun:
            self._has_begun = True
            self._publish(self.way.place(0))
        with self._watch("wait"):
            self._let_those_begin_that_are_up()
            found = [line.chunk(self._round) for line in self._lines]
        with self._watch("store"):
            self._chunks = sum(chunk is not None for chunk in found)
            self._store(found)

    def _let_those_begin_that_are_up(self) -> None:
        while True:
            for line in self._lines:
                if not line.is_playing and line.is_up():
                    line.begin(self._round)
            if any(line.is_playing for line in self._lines):
                return
            wait([line.connection for line in self._lines])

    def _store(self, found: Sequence[Chunk | None]) -> None:
        here = [chunk for chunk in found if chunk is not None]
        if not here:  # all were lost at once
            return
        gaps = [chunk is None or line.begins_anew(self._round) for chunk, line in zip(found, self._lines, strict=True)]
        if any(gaps):
            self.replay.cut(torch.tensor(gaps, device=self._device).repeat_interleave(self.way.num_envs))
        nothing = {name: torch.zeros_like(each) for name, each in here[0].items()}  # no step of it is valid
        self.replay.extend(*steps_of([nothing if chunk is None else chunk for chunk in found], self._device))
        for chunk in here:
            for name in SUMS:
                getattr(self.episodes, name).add_(chunk[name].to(self._device))

    def finish_round(self) -> None:
        """Count the round, publish the weights, and ask for the chunk that is played with them."""
        self.env_steps += self._chunks * self.way.vector_steps * self.way.num_envs  # without those of lost players
        self._round += 1
        self._publish(self.way.place(self._round))
        for line in self._lines:
            if line.is_playing:
                line.ask(self._round + self.way.lag)

    def _publish(self, place: int) -> None:
        shared = self._weights.copy(place)
        for name, tensor in acting_tensors(self.agent).items():
            shared[name].copy_(tensor)

    def statistics(self) -> Measured:
        waited, lost = sum(line.waited_seconds for line in self._lines), sum(line.lost for line in self._lines)
        elapsed = max(time.monotonic() - self._since, 1e-9)
        self._since = time.monotonic()
        for line in self._lines:
            line.waited_seconds, line.lost = 0.0, 0
        own: Measured = {"time/players_wait_fraction": waited / elapsed / len(self._lines), "players/lost": float(lost)}
        return self.episodes.drain() | self._watch.fractions() | own

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here, with the chunks that are played already.

        Where a player has failed, which ends the run, episodes are cut when it goes on.
        """
        state = super().state_dict() | {
            "round": self._round,
            "started": self._has_begun,
            "episodes": {name: getattr(self.episodes, name) for name in SUMS},
        }
        if self._has_begun:
            for line in self._lines:
                line.receive_all()
            whole = not any(line.has_failed for line in self._lines)
            state["players"] = {f"player_{line.number}": line.state(with_chunks=whole) for line in self._lines}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a saved state.

        Raises:
            ValueError: it was saved with another number of players.
        """
        check({"round": 0, "started": False}, {name: state[name] for name in ("round", "started")}, "source")
        for line in self._lines:
            line.receive_all()
        super().load_state_dict(state)
        restore({name: getattr(self.episodes, name) for name in SUMS}, state["episodes"], "episodes")
        self._round, self._has_begun = state["round"], state["started"]
        if not self._has_begun:
            return
        if len(state["players"]) != len(self._lines):
            raise ValueError(f"the checkpoint is one of {len(state['players'])} players, not {len(self._lines)}")
        for place in range(self.way.lag + 1):
            self._publish(place)
        for line in self._lines:
            line.load(state["players"][f"player_{line.number}"], self._round)

    def close(self) -> None:
        """End the players; those that are busy and do not come to an end soon are killed."""
        atexit.unregister(self.close)
        begun = [line for line in self._lines if line.process is not None]
        end([line.connection for line in begun], [line.process for line in begun if line.process is not None])


def steps_of(chunks: Sequence[Chunk], device: torch.device | str) -> tuple[Tensor, Tensor, Step, dict[str, Tensor]]:
    """The observations, actions, steps and extras ``[S, K, N x E, ...]`` of the chunks of N players."""

    def joined(name: str) -> Tensor:
        return torch.cat([chunk[name] for chunk in chunks], dim=2).to(device)

    observation = joined("observation")
    following = observation[:, 1:]
    next_observation = following.clone()
    for chunk, own in zip(chunks, next_observation.chunk(len(chunks), dim=2), strict=True):
        ended = chunk["terminated"] | chunk["truncated"]
        own[ended.to(device)] = chunk["last_observation"][ended].to(device)
    step = Step(following, next_observation, joined("reward"), **{name: joined(name) for name in FLAGS})
    extras = {name.removeprefix(EXTRAS): joined(name) for name in chunks[0] if name.startswith(EXTRAS)}
    return observation[:, :-1], joined("action"), step, extras


class _Line:
    """The learner's end of the connection to a player, and the player's process."""

    connection: Connection

    def __init__(
        self, number: int, build: Build, specs: dict[str, TensorSpec], weights: SharedTensors, way: Way
    ) -> None:
        self.number, self.way = number, way
        self.process: BaseProcess | None = None
        self.is_playing = False
        self.waited_seconds, self.lost = 0.0, 0  # since the last log
        self._build, self._weights, self._lives = build, weights, 0
        self._shared = SharedTensors(specs, way.lag + 1)
        self._is_up = self._has_played = False
        self._asked: deque[int] = deque()  # chunks that have not come yet
        # Chunks that have, with whether they begin anew; or what went wrong, which is raised when its turn has come.
        self._came: dict[int, bool | Exception] = {}

    def start(self) -> None:
        """Start the process, which takes seconds until it is up."""
        context = get_context("spawn")
        self._is_up = self._has_played = self.is_playing = False
        self._asked.clear()
        with deaf():
            self.connection, there = context.Pipe()
            arguments = there, self.number, self._lives, self._build, (self._shared, self._weights), self.way
            self.process = context.Process(target=serve, args=arguments, daemon=True)
            self.process.start()
            there.close()

    def is_up(self) -> bool:
        if not self._is_up and self.connection.poll():
            self.wait_until_up()
        return self._is_up

    def wait_until_up(self) -> None:
        """Raises ``TrainingError`` where the process is gone, and what went wrong in it."""
        if not self._is_up and self._reply() is not None:
            self._is_up = True

    def begin(self, number: int) -> None:
        """Ask for the first chunks."""
        self.is_playing = True
        self._came.clear()
        for chunk in range(number, number + 1 + self.way.lag):
            self.ask(chunk)

    def ask(self, number: int) -> None:
        self._asked.append(number)
        self._send("play", number)

    def _send(self, method: str, *arguments: Any) -> None:
        with contextlib.suppress(OSError):  # it is gone, which shows when its answer is read
            self.connection.send((method, arguments))

    def chunk(self, number: int) -> Chunk | None:
        """A chunk that was asked for; nothing where the player is lost.

        Raises:
            Exception: what the player raised.
        """
        while self.is_playing and number not in self._came:
            self._receive()
        if number not in self._came:
            return None
        if isinstance(error := self._came[number], Exception):
            raise error
        return self._shared.copy(self.way.place(number))

    def begins_anew(self, number: int) -> bool:
        """Whether a chunk that has come does not follow the one before; forgets it."""
        return bool(self._came.pop(number))

    @property
    def has_failed(self) -> bool:
        return any(isinstance(came, Exception) for came in self._came.values())

    def receive_all(self) -> None:
        """Wait for all chunks that were asked for."""
        while self._asked and self.is_playing:
            self._receive()

    def _receive(self) -> None:
        number = self._asked.popleft()
        try:
            answer = self._reply()
        except TrainingError:
            raise
        except Exception as error:
            self._came[number] = error
            return
        if answer is not None:
            self._came[number], self._has_played = answer[0], True

    def _reply(self) -> tuple[Any, float] | None:
        """The next answer; nothing where the process was lost, and another begins."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self._replace()
            return None
        if isinstance(answer, Exception):
            raise answer
        self.waited_seconds += answer[1]
        return answer

    def _replace(self) -> None:
        assert self.process is not None
        how = how_ended(self.process)
        if not self._has_played:
            raise TrainingError(f"player {self.number} is gone before it has played: {how}")
        say(f"player {self.number} is gone ({how}): the run goes on, and another takes its place")
        self.connection.close()
        self.lost += 1
        self._lives += 1
        self.start()

    def state(self, with_chunks: bool) -> dict[str, Any]:
        """The player and the chunks that have come; nothing where it is lost."""
        if not self.is_playing:
            return {"lives": self._lives}
        self._send("state_dict")
        answer = self._reply()
        if answer is None:
            return {"lives": self._lives}
        saved: dict[str, Any] = {"lives": self._lives, "player": tensors(answer[0])}
        if with_chunks:
            saved["chunks"] = {
                f"chunk_{number}": {
                    name: each.clone() for name, each in self._shared.copy(self.way.place(number)).items()
                }
                for number in self._came
            }
            saved["begin_anew"] = list(self._came.values())
        return saved

    def load(self, saved: dict[str, Any], number: int) -> None:
        """Go back to what was saved before chunk ``number``."""
        check({"lives": 0}, {"lives": saved["lives"]}, "players")
        self._lives = saved["lives"]
        self.is_playing = False
        self._came.clear()
        if "player" not in saved:
            return
        self.wait_until_up()
        self._send("load_state_dict", arrays(saved["player"]), "chunks" not in saved)
        if self._reply() is None:
            return
        self._has_played = True
        if "chunks" not in saved:
            self.begin(number)
            return
        self.is_playing = True
        for chunk, begins_anew in zip(range(number, number + 1 + self.way.lag), saved["begin_anew"], strict=True):
            restore(self._shared.copy(self.way.place(chunk)), saved["chunks"][f"chunk_{chunk}"], "chunks")
            self._came[chunk] = begins_anew
