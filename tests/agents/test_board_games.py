"""An agent that plays against itself: what it learns from, its opponents, its earlier selves and people."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from agents.alphazero import AlphaZero, AlphaZeroConfig
from agents.runs.evaluating import evaluate_run
from agents.runs.playing import play
from agents.runs.run import Run, environments, open_run
from agents.runs.tournament import Player, tournament
from agents.runs.tournament import play as match
from agents.runs.training import train
from agents.runs.viewer import Viewer
from envs.boards.in_a_row import InARow
from envs.boards.opponents import any_move, choose, perfect
from rlsuite import random
from rlsuite.board import planes
from rlsuite.experience import Batch, Step
from rlsuite.replay.transition_store import TransitionStore
from rlsuite.tracking.watch_panel import Bars

ENV = "rlsuite/TicTacToe-v0"
SEEN = Box(0, 1, (2, 3, 3), np.uint8)
SMALL = {"encoder": "mlp", "hidden": (32,), "simulations": 4, "n_step": 9, "num_envs": 16, "train_every_env_steps": 16}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = AlphaZeroConfig(
        env=ENV,
        env_kwargs={"opponent": "minimax"},
        seeds=2,
        runs=str(tmp_path_factory.mktemp("runs")),
        name="zero",
        total_env_steps=480,
        learning_starts_env_steps=160,
        replay_capacity=600,
        batch_size=32,
        evaluate_every_env_steps=240,
        evaluation_episodes=8,
        final_episodes=10,
        video=False,
        wandb="disabled",
        **SMALL,
    )
    ended = train("alphazero", config)
    assert ended.finished
    return ended.run


def test_a_return_of_discount_minus_one_is_the_end_of_the_game_as_each_side_sees_it() -> None:
    board = InARow(3, 3, 3)
    store = TransitionStore(
        40, seeds=1, num_envs=2, observation_shape=(2, 3, 3), observation_dtype=torch.uint8, discount=-1.0, n_step=9
    )
    # X wins with its third stone, in the fifth move; the other game is cut after its fourth.
    games = torch.tensor([[0, 3, 1, 4, 2], [4, 0, 1, 2, 3]])
    position = board.initial(2)
    for move in range(5):
        following = board.play(position, games[:, move])
        over, value = board.outcome(following)
        cut = torch.tensor([False, move == 3])
        seen, after = (planes(one, board.shape).unsqueeze(0) for one in (position, following))
        ended = over | cut
        step = Step(
            after, after, -value[None], over[None], cut[None], ~over[None], torch.ones(1, 2).bool(), ended[None]
        )
        store.add(seen, games[None, :, move], step)
        position = torch.where(ended.unsqueeze(-1), board.initial(2), following)
    assert int(store.size) == 9  # the fifth move of the other game is the first of a game that goes on
    batch = store.read(torch.arange(9).unsqueeze(0))
    stones = batch.observation[0].flatten(1).sum(dim=1)
    whole = batch.discount[0] == 0
    assert whole.sum() == 5
    ends = dict(zip(stones[whole].tolist(), batch.reward[0, whole].tolist(), strict=True))
    assert ends == {0: 1.0, 1: -1.0, 2: 1.0, 3: -1.0, 4: 1.0}
    # Where a game was cut, the value there counts, with the sign of the side to move.
    assert dict(zip(stones[~whole].tolist(), batch.discount[0, ~whole].tolist(), strict=True)) == {
        0: 1.0,
        1: -1.0,
        2: 1.0,
        3: -1.0,
    }
    assert (batch.reward[0, ~whole] == 0).all()


def test_it_learns_visits_and_ends_in_every_orientation() -> None:
    agent = AlphaZero(
        AlphaZeroConfig(env=ENV, learning_rate=(1e-2,), weight_decay=0.0, **SMALL), SEEN, Discrete(9), [0]
    )
    corner = torch.tensor([0b000000001, 0])
    position = planes(corner, (3, 3)).expand(1, 64, -1, -1, -1)
    visits = torch.zeros(1, 64, 9)
    visits[..., 8] = 1.0  # the opposite corner
    zero = torch.zeros(1, 64)
    batch = Batch(position, zero.long(), zero - 1.0, zero, position, {"visits": visits, "value": zero})
    losses = [float(agent.update(batch)["loss/policy"]) for _ in range(150)]
    assert losses[-1] < 0.1 < losses[0]
    for cell in (0, 2, 6, 8):
        seen = planes(torch.tensor([[[1 << cell, 0]]]), (3, 3))
        logits, value = agent._judge(seen)
        assert int(logits.argmax()) == 8 - cell and float(value) < -0.9


def test_targets_of_games_that_were_cut_go_on_with_the_value() -> None:
    agent = AlphaZero(AlphaZeroConfig(env=ENV, symmetries=False, **SMALL), SEEN, Discrete(9), [0])
    agent.network.parameters.mul_(3.0)  # so that values are not all near 0
    position = planes(torch.tensor([[[0b1, 0b10], [0b11, 0b1100]]]), (3, 3))
    value, one = agent._judge(position)[1], torch.ones(1, 2)
    assert value.abs().min() > 0.01
    extras = {"visits": torch.full((1, 2, 9), 1 / 9), "value": one}
    before = agent.network.parameters.clone()
    cut = agent.update(Batch(position, one.long(), 0 * one, -one, position, extras))
    assert float(cut["loss/value"]) == pytest.approx(float((2 * value).square().mean()), rel=1e-4)
    agent.network.parameters.copy_(before)
    over = agent.update(Batch(position, one.long(), one, 0 * one, position, extras))
    assert float(over["loss/value"]) == pytest.approx(float((value - 1).square().mean()), rel=1e-4)


def test_it_trains_against_itself_and_is_evaluated_against_the_environments_opponent(trained: Run) -> None:
    train_envs, test_envs = (environments(trained, purpose, 1) for purpose in ("train", "test"))
    assert train_envs.vector_env.dynamics.opponent is None
    assert test_envs.vector_env.dynamics.opponent is not None
    report = json.loads((trained.folder / "evaluation.json").read_text())
    assert report["opponent"] == "minimax" and report["games"]["won"] == 0.0
    assert sum(report["games"].values()) == pytest.approx(1.0)
    assert report["mean"] == pytest.approx(report["games"]["won"] - report["games"]["lost"])


def test_earlier_selves_are_kept_and_play_a_tournament(trained: Run) -> None:
    assert trained.checkpoints.kept == ["at-240", "at-480"]
    report = tournament([open_run(trained.folder)], games=6)
    assert [player["player"] for player in report["players"]] == [
        "random",
        "minimax",
        "zero at-240",
        "zero at-480",
        "zero best",
    ]
    won, drawn = np.array(report["won"]), np.array(report["drawn"])
    assert ((won + won.T + drawn)[~np.eye(5, dtype=bool)] == 6).all()
    elo = [player["elo"] for player in report["players"]]
    assert elo[0] == 0.0 and elo[1] == max(elo)


def test_a_match_counts_games_for_who_won_them() -> None:
    board = InARow(3, 3, 3)

    def player(name: str, scores) -> Player:  # type: ignore[no-untyped-def]
        key = random.key(torch.tensor(3), torch.arange(40))
        return Player(name, lambda games: lambda position, ply: choose(scores(position), random.fold(key, ply)))

    sure, any_one = player("perfect", perfect(board)), player("random", any_move(board))
    for opening in (0, 2):
        result = match(board, (sure, any_one), 40, opening)
        assert result.shape == (80,)
        assert (result > 0).mean() > 0.7
        assert (match(board, (any_one, sure), 40, opening) < 0).mean() > 0.7
    assert (match(board, (sure, sure), 40, 0) == 0).all()
    assert (match(board, (sure, any_one), 40, 0) >= 0).all()


def test_a_person_plays_in_the_terminal(trained: Run) -> None:
    said: list[str] = []
    wishes = iter(["z9", *(f"{column}{row}" for row in (1, 2, 3) for column in "abc"), *["q"] * 9] * 3)
    play(trained, games=2, ask=lambda prompt: next(wishes), show=said.append)
    text = "\n".join(said)
    assert "You are X, alphazero is O. Moves: a1, b1, c1, a2" in text
    assert "'z9' is no move here: there are a1, b1" in text
    assert "O plays" in text and "value: mean of the search" in text and "share of visits" in text
    ends = ("You have won.", "alphazero has won.", "A draw.")
    assert sum(line in ends for line in said) == 2


def test_a_game_that_a_person_wins_is_told(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = iter([3, 4])  # what the agent plays

    def act(self, observation, state, began, env_step, *, explore):  # type: ignore[no-untyped-def]
        acted = original(self, observation, state, began, env_step, explore=explore)
        return acted._replace(action=torch.tensor([[next(wanted)]]))

    original = AlphaZero.act
    monkeypatch.setattr(AlphaZero, "act", act)
    said: list[str] = []
    moves = iter(["a1", "b1", "c1"])
    play(trained, ask=lambda prompt: next(moves), show=said.append)
    assert said[-1] == "You have won."
    assert said[-2].splitlines() == [" 1 X X X", " 2 O O .", " 3 . . .", "   a b c"]


def test_viewers_see_visits_and_value(trained: Run) -> None:
    viewer = Viewer(trained, "last")
    frame = next(iter(viewer.frames(1)))
    viewer.close()
    assert isinstance(frame.action, Bars)
    assert frame.action.values.sum() == pytest.approx(1.0) and frame.action.names[4] == "b2"
    assert frame.value_title == "value: mean of the search" and -1.0 <= frame.values[0] <= 1.0
    assert frame.picture.shape == (144, 144, 3)


def test_evaluations_name_other_opponents(trained: Run) -> None:
    run = replace(trained, config=replace(trained.config, env_kwargs={"opponent": "random"}))
    report = evaluate_run(run, 20)
    assert report["opponent"] == "random" and report["games"]["won"] > 0.3


def test_what_does_not_fit_is_said_in_a_line(script_here, trained: Run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    common = ("--wandb", "disabled", "--total-env-steps", 5_000)
    status, text = script_here("train", "alphazero", "--env", "CartPole-v1", *common, folder=tmp_path)
    assert status == 1 and "alphazero is for board games, and CartPole-v1 is none: there are rlsuite/Conn" in text
    status, text = script_here("evaluate", trained.folder, "--env-kwargs", "opponent=nobody", folder=tmp_path)
    assert status == 1 and "the opponent is one of random, minimax, self, not 'nobody'" in text
    status, text = script_here("tournament", folder=tmp_path)
    assert status == 1 and "name at least one run folder" in text
    status, text = script_here("watch", trained.folder, "--play", "--fps", 3, folder=tmp_path)
    assert status == 1 and "--fps is not for --play" in text
    alone = Path(shutil.copytree(trained.folder, tmp_path / "alone"))
    for kept in (alone / "checkpoint").glob("at-*"):
        kept.unlink()
    with pytest.raises(ValueError, match="alone best has nobody to play against"):
        tournament([open_run(alone)], games=2, opponents=())
    status, text = script_here("export", trained.folder, "--to", "torch", folder=tmp_path)
    assert status == 1 and "alphazero cannot be exported: how it computes an action depends on what it sees" in text
    assert "aten" not in text
    status, text = script_here("tournament", trained.folder, "--games", 2, "--opponents", "random", folder=tmp_path)
    assert status == 0 and "Elo" in text and (tmp_path / "tournament.json").exists()


@pytest.mark.slow
def test_it_learns_never_to_lose_at_tic_tac_toe(tmp_path: Path) -> None:
    from agents.runs.presets import preset

    options = preset("alphazero", ENV) | {"runs": str(tmp_path), "name": "run", "wandb": "disabled", "video": False}
    ended = train("alphazero", AlphaZeroConfig(env=ENV, **options | {"final_episodes": 1_000}))
    report = json.loads((ended.run.folder / "evaluation.json").read_text())
    assert report["games"]["lost"] == 0.0
