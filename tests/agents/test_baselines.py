"""A run beside the reference policies of its environment."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.cli.evaluate import main as evaluate
from agents.ppo import PPOConfig
from agents.runs.baselines import _conclusion, _difference, play
from agents.runs.training import train
from envs.hedging import Hedging
from envs.tmaze import EAST, NORTH, SOUTH, TMaze
from rlsuite import random
from rlsuite.tracking.path_statistics import Resamples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds that has learned next to nothing."""
    runs = tmp_path_factory.mktemp("runs")
    options = {"num_envs": 4, "rollout_env_steps": 40, "total_env_steps": 80, "minibatches": 2, "epochs": 1}
    config = PPOConfig(
        env="rlsuite/Hedging-v0",
        env_kwargs={"cost": 0.005},
        seeds=2,
        runs=str(runs),
        name="a",
        final_episodes=0,
        video=False,
        wandb="disabled",
        **options,
    )
    train("ppo", config)
    return runs / "a"


def test_agents_and_references_play_the_same_paths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([str(folder), "--baselines", "--episodes", "300"]) == 0
    out = capsys.readouterr().out
    report = json.loads((folder / "baselines.json").read_text())
    names = ["ppo, seed 0", "ppo, seed 1", "delta", "Leland's delta", "no hedge"]
    assert list(report["outcomes"]) == ["return", "P&L"]
    assert list(report["outcomes"]["P&L"]) == names
    assert all(name in out for name in names)
    found = {name: each["mean"]["value"] for name, each in report["outcomes"]["return"].items()}
    for each in report["differences"]:
        assert each["more"]["value"] == pytest.approx(found[each["agent"]] - found[each["reference"]])
        # An agent that holds half a share whatever happens is better than none, and worse than one that follows.
        assert each["verdict"] == ("better" if each["reference"] == "no hedge" else "worse")
    assert "ppo, seed 1 is better than no hedge, but not than delta, Leland's delta" in out
    evaluate([str(folder), "--baselines", "--episodes", "300", "--env-kwargs", "cost=0"])
    again = json.loads((folder / "baselines.json").read_text())
    assert list(again["outcomes"]["P&L"]) == ["ppo, seed 0", "ppo, seed 1", "delta", "no hedge"]
    assert again["outcomes"]["P&L"]["delta"]["mean"]["value"] > report["outcomes"]["P&L"]["delta"]["mean"]["value"]
    assert "no hedge" in capsys.readouterr().out


def test_environments_without_references_say_so(tmp_path: Path) -> None:
    options = {"num_envs": 2, "rollout_env_steps": 20, "total_env_steps": 20, "minibatches": 1, "epochs": 1}
    config = PPOConfig(
        env="rlsuite/TMaze-v0", runs=str(tmp_path), name="a", final_episodes=0, video=False, wandb="disabled", **options
    )
    train("ppo", config)
    with pytest.raises(ValueError, match="rlsuite/TMaze-v0 has no reference policies to compare with"):
        evaluate([str(tmp_path / "a"), "--baselines"])


def test_paths_depend_on_their_keys_alone_and_stop_where_they_end() -> None:
    keys = random.key(torch.arange(6))
    dynamics = Hedging(steps=4)
    policy = dynamics.references()["delta"]
    whole = play(dynamics, lambda state, step: policy(state), dynamics.initial(keys), keys)
    part = play(dynamics, lambda state, step: policy(state), dynamics.initial(keys[3:]), keys[3:])
    np.testing.assert_allclose(whole.outcomes["P&L"][3:], part.outcomes["P&L"])

    maze = TMaze(length=2)

    def north(state: dict[str, torch.Tensor], step: int) -> torch.Tensor:
        """Ahead to the fork, there north, and then against the wall for ever."""
        return torch.where(state["position"] == 2, NORTH if step < 3 else SOUTH, EAST)

    start = maze.initial(keys)
    returns = play(maze, north, start, keys).returns
    np.testing.assert_allclose(returns, np.where(start["south"].numpy(), -0.1, 4.0))


def test_it_is_said_plainly_that_nothing_is_gained() -> None:
    resamples = Resamples(50)
    rng = np.random.default_rng(0)
    returns = rng.normal(1.0, 3.0, 50)
    others = {"hold": returns + rng.normal(0.0, 1.0, 50), "cash": np.zeros(50)}
    found = [_difference("ppo", name, returns, other, resamples) for name, other in others.items()]
    assert [each.verdict for each in found] == ["unclear", "better"]
    assert found[1].share is None
    assert _conclusion("ppo", found[:1]).startswith("ppo gains nothing")
    assert _conclusion("ppo", found) == "ppo is better than cash, but not than hold"


def test_intervals_are_those_of_the_bootstrap() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 2_000)
    found = Resamples(2_000).summary(values)
    assert found.mean.value == pytest.approx(values.mean())
    assert found.deviation.value == pytest.approx(values.std())
    assert found.cvar.value == pytest.approx(np.sort(values)[:100].mean())
    error = 1.96 * values.std() / 2_000**0.5
    assert found.mean.high - found.mean.low == pytest.approx(2 * error, rel=0.1)
    assert found.deviation.high - found.deviation.low == pytest.approx(2 * error / 2**0.5, rel=0.15)
    assert found.cvar.low < found.cvar.value < found.cvar.high
    assert Resamples(1).summary(np.array([2.0])).cvar.value == 2.0
