"""Players: what is learned never depends on time, and a player that is killed leaves a gap and comes back."""

import dataclasses
import os
import signal
import threading
import time
from functools import partial

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map

from agents.dqn import DQNConfig
from agents.ppo import PPOConfig
from agents.runs.players import require_players_fit
from agents.runs.run import Run, of_rank, plan
from rlsuite.agent import TensorSpec
from rlsuite.experience import Step
from rlsuite.replay.frame_store import FrameStore
from rlsuite.replay.replay import Replay
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.training.collector import spec_of
from rlsuite.training.player import Way, _Chunk, _Player, acting_tensors
from rlsuite.training.players import Players, steps_of
from rlsuite.training.shared_tensors import SharedTensors
from rlsuite.training.worker import Worker
from tests.training.counting_players import (
    DONE,
    ENVS,
    EPISODE,
    LAG,
    PLAYERS,
    SEEDS,
    SEEN,
    STEPS,
    Agent,
    Counting,
    build,
)

WAY = Way(PLAYERS, ENVS, STEPS, LAG, clip_rewards=False, newest=None)


def new_worker():
    agent = Agent()
    store = TransitionStore(
        5_000,
        seeds=len(SEEDS),
        num_envs=PLAYERS * ENVS,
        observation_shape=SEEN.shape,
        extras=agent.extras,
        discount=1.0,
        n_step=2,
    )
    spaces = {"observation": SEEN, "action": DONE}
    made = partial(build, True)
    return Worker(agent, Players(agent, Replay(store, 8), made, seeds=SEEDS, way=WAY, **spaces), seeds=SEEDS)


def rounds(worker, number):
    for _ in range(number):
        worker._round()


def saved(worker):
    return tree_map(lambda each: each.clone() if isinstance(each, torch.Tensor) else each, worker.state_dict())


def transitions(worker):
    """What the replay of the first seed holds, in order."""
    store = worker.source.replay.store
    return store.read(store.slot(torch.arange(int(store.size[0])).expand(len(SEEDS), -1)))


def assert_same(left, right):
    (one, layout), (other, other_layout) = tree_flatten(left), tree_flatten(right)
    assert layout == other_layout
    for value, expected in zip(one, other, strict=True):
        assert torch.equal(value, expected) if isinstance(value, torch.Tensor) else value == expected


@pytest.fixture(scope="module")
def worker():
    """A worker that has begun; each test takes it further, whichever came before."""
    made = new_worker()
    rounds(made, 10)
    yield made
    made.close()


def test_players_are_exact_wherever_they_are_interrupted_and_however_slow_they_are(worker):
    begun, env_steps, updates = saved(worker), worker.env_steps, worker.updates
    rounds(worker, 6)
    expected = saved(worker)
    assert worker.env_steps - env_steps == 6 * STEPS * ENVS * PLAYERS and worker.updates - updates == 6
    worker.load_state_dict(begun)
    for number in range(6):
        if number == 2:  # the second player lags behind
            pid = worker.source._lines[1].process.pid
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.2, os.kill, [pid, signal.SIGCONT]).start()
        rounds(worker, 1)
        if number in (1, 3):
            worker.load_state_dict(saved(worker))
    assert_same(saved(worker), expected)


def test_a_chunk_is_played_with_the_weights_of_lag_rounds_before(worker):
    """Updates are as many as rounds, and env steps of a seed are those of all its environments."""
    batch = transitions(worker)
    assert len(batch.reward[0]) > 8 * STEPS * ENVS * PLAYERS
    env_step = batch.extras["env_step"]
    number = env_step // (STEPS * ENVS * PLAYERS)
    assert torch.equal(batch.extras["weight_then"], (number - LAG).clamp(min=0).float())
    # Each vector step of each player has a number of its own, and environments have theirs.
    player = batch.observation[..., 0].long() // ENVS
    assert torch.equal(player, env_step // ENVS % PLAYERS)
    assert torch.equal(batch.action, (env_step + batch.extras["weight_then"].long()) % 5)
    assert set(batch.observation[0, :, 0].tolist()) == set(range(ENVS * PLAYERS))


def check_transitions(batch):
    """Each is two steps of one episode, or one before its end or before a gap."""
    first, last = batch.observation, batch.next_observation
    assert torch.equal(first[..., :2], last[..., :2])
    steps = last[..., 2] - first[..., 2]
    assert ((steps == 2) | (steps == 1)).all()
    return steps


def test_a_player_that_is_killed_leaves_a_gap_and_another_takes_its_place(worker, capsys):
    source = worker.source
    source.statistics()
    killed = source._lines[1].process
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    env_steps, since = worker.env_steps, worker.updates
    while source._lines[1].is_playing:
        rounds(worker, 1)
    assert "player 1 is gone (killed by signal 9)" in capsys.readouterr().err
    assert source.statistics()["players/lost"] == 1.0
    rounds(worker, 3)
    lost_rounds = 0
    while not source._lines[1].is_playing:  # the learner goes on
        rounds(worker, 1)
        lost_rounds += 1
        time.sleep(0.05)
    assert lost_rounds > 1
    rounds(worker, 5)
    assert worker.updates - since > lost_rounds + 5
    assert worker.env_steps - env_steps < (worker.updates - since) * STEPS * ENVS * PLAYERS
    batch = transitions(worker)
    steps = check_transitions(batch)
    numbers = batch.observation[0, :, 0].long()
    assert set(numbers.tolist()) == {0, 1, 2, 3, 6, 7}  # the new one has episodes of its own
    for number in (2, 3):  # cut at the gap, as a truncation would be: the last step counts, with what followed it
        mine = (numbers == number).nonzero().flatten()
        cut = mine[-1]
        assert steps[0, cut] == 1 and batch.discount[0, cut] == 1.0
        assert batch.next_observation[0, cut, 2] < EPISODE + number % 3 or steps[0, mine[-2]] == 2
    begun = saved(worker)
    rounds(worker, 3)
    expected = saved(worker)
    worker.load_state_dict(begun)
    rounds(worker, 3)
    assert_same(saved(worker), expected)


def test_where_environments_cannot_go_back_what_follows_begins_anew():
    chunks = SharedTensors(WAY.chunk_specs(len(SEEDS), spec_of(SEEN), spec_of(DONE), Agent().extras), LAG + 1)
    weights = SharedTensors(
        {name: TensorSpec(tuple(each.shape)) for name, each in acting_tensors(Agent()).items()}, LAG + 1
    )
    for exact_resume in (True, False):
        first, second = (_Player(0, (Agent(), Counting(0, exact_resume)), (chunks, weights), WAY) for _ in range(2))
        assert [first.play(number) for number in range(2)] == [True, False]
        second.load_state_dict(first.state_dict(), is_cut=False)
        assert second.play(2) is not exact_resume
        assert second.play(3) is False
        second.load_state_dict(first.state_dict(), is_cut=True)
        assert second.play(2) is True


def test_chunks_keep_one_frame_a_step_and_the_last_one_of_an_episode():
    """Of two players, one frame of three, which is all that a store of frames keeps."""
    observation, done = TensorSpec((3, 2, 2), torch.uint8), TensorSpec((), torch.int64)
    way = dataclasses.replace(WAY, newest=1)
    specs = way.chunk_specs(1, observation, done, {"extra": TensorSpec(())})
    direct, through = (
        Replay(FrameStore(60, seeds=1, num_envs=PLAYERS * ENVS, stack=3, frame_shape=(2, 2), discount=0.9), 4)
        for _ in range(2)
    )
    shared = [SharedTensors(specs, 1) for _ in range(PLAYERS)]
    frames = torch.arange(3 * PLAYERS * ENVS * 4, dtype=torch.uint8).view(1, PLAYERS * ENVS, 3, 2, 2)
    for _ in range(4):
        opened = []
        for player in shared:
            opened.append(_Chunk(player, way.newest))
            opened[-1].open(0)
        for row in range(STEPS):
            ended = (torch.arange(PLAYERS * ENVS) == row).unsqueeze(0)
            final = frames + 50
            following = torch.where(ended.view(1, -1, 1, 1, 1), frames + 90, final)
            no = torch.zeros_like(ended)
            step = Step(following, final, frames[..., 0, 0, 0].float(), ended, no, ~ended, ~no, ended)
            action = frames[..., 0, 0, 0].long()
            direct.add(frames, action, step)
            for number, chunk in enumerate(opened):
                own = slice(number * ENVS, (number + 1) * ENVS)
                mine = tree_map(lambda each: each[:, own], (frames, action, step))  # noqa: B023
                chunk.add(*mine, {"extra": mine[2].reward})
            frames = following
        through.extend(*steps_of([player.copy(0) for player in shared], "cpu"))
    assert_same(direct.state_dict(), through.state_dict())


def test_a_state_of_other_players_is_refused(worker):
    state = saved(worker)
    state["source"]["players"].pop("player_1")
    with pytest.raises(ValueError, match="the checkpoint is one of 1 players, not 2"):
        worker.load_state_dict(state)


def test_bad_options_are_refused_in_one_line(monkeypatch, tmp_path):
    config = DQNConfig(env="CartPole-v1", players=2, runs=str(tmp_path))
    require_players_fit(config)
    require_players_fit(PPOConfig(env="CartPole-v1"))
    for option in (
        {"workers": 2, "seeds": 2},
        {"vectorization": "async"},
        {"env": "rlsuite/CartPole-v1"},
        {"normalise_rewards": True},
        {"players": 10_000},
        {"lag": 101},
    ):
        with pytest.raises(ValueError, match="player|lag") as error:
            require_players_fit(dataclasses.replace(config, **option))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="lag"):
        dataclasses.replace(config, lag=0)
    assert plan("dqn", dataclasses.replace(config, seeds=8, total_env_steps=10**6)).config.workers == 1
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "none"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="--players is not for ranks"):
        of_rank(Run(tmp_path, "dqn", config))


def test_shared_tensors_are_apart_and_keep_their_dtypes():
    shared = SharedTensors(
        {"a": TensorSpec((2, 3)), "b": TensorSpec((5,), torch.bool), "c": TensorSpec((), torch.int64)}, 2
    )
    first, second = shared.copy(0), shared.copy(1)
    for tensor in first.values():
        tensor.fill_(1)
    assert all((tensor == 0).all() for tensor in second.values())
    assert all((tensor == 1).all() for tensor in shared.copy(0).values())
    assert [tensor.dtype for tensor in first.values()] == [torch.float32, torch.bool, torch.int64]
    assert first["a"].shape == (2, 3) and first["c"].shape == ()
