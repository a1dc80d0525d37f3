"""A trained agent beside the reference policies of its environment, on the same paths of chance.

Dynamics (``envs.core``) may have

- ``references() -> dict[str, Callable[[State], Tensor]]``: policies by name, from a state to actions;
- ``outcomes(state) -> dict[str, Tensor]``: what came of episodes that are over, ``[N]`` by name;
- ``starts() -> State``: where episodes begin, if there are only so many different ones.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from agents.runs.run import Run, environments, load_agent, shown
from envs.core import Dynamics, State, select
from rlsuite import random
from rlsuite.tracking.path_statistics import Estimate, Resamples
from rlsuite.training.checkpoint import Name

_STREAM = 51
Act = Callable[[State, int], Tensor]  # of a state and the steps before it


@dataclass(frozen=True)
class Played:
    """Returns of a policy on each of N paths, and outcomes by name."""

    returns: np.ndarray
    outcomes: dict[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """The mean by which an agent got more than a reference policy on the same paths."""

    agent: str
    reference: str
    more: Estimate
    share: float | None  # of the reference's mean return, where that is surely not 0

    @property
    def verdict(self) -> str:
        if self.more.low > 0.0:
            return "better"
        return "worse" if self.more.high < 0.0 else "unclear"


def beside_baselines(run: Run, episodes: int, checkpoint: Name = "last") -> None:
    """Play ``episodes`` episodes by the agent of every seed and by every reference policy, and print what came of it.

    Also written to ``baselines.json`` in the run's folder.

    Raises:
        ValueError: the environment has no reference policies.
        CheckpointError: the checkpoint is missing or damaged.
    """
    agent = load_agent(run, shown(run, checkpoint))
    dynamics = _dynamics(run)
    start, keys = _begin(dynamics, episodes, run.device)
    played = {}
    seeds = len(run.seeds)
    of_agent = _as_policy(agent, dynamics, seeds)
    repeated = {name: value.repeat(seeds, *[1] * (value.dim() - 1)) for name, value in start.items()}
    together = play(dynamics, of_agent, repeated, keys.repeat(seeds))
    agents = [f"{run.agent_name}, seed {seed}" for seed in run.seeds]
    for place, name in enumerate(agents):
        own = slice(place * len(keys), (place + 1) * len(keys))
        played[name] = Played(together.returns[own], {key: each[own] for key, each in together.outcomes.items()})
    for name, policy in dynamics.references().items():
        played[name] = play(dynamics, _without_memory(policy), start, keys)
    _report(run, played, agents)


def _dynamics(run: Run) -> Any:
    test: Any = environments(run, "test", 1)
    test.close()
    dynamics = getattr(test.vector_env, "dynamics", None)
    if not hasattr(dynamics, "references"):
        raise ValueError(f"{run.config.env} has no reference policies to compare with")
    return dynamics


def _without_memory(policy: Callable[[State], Tensor]) -> Act:
    return lambda state, step: policy(state)


def _begin(dynamics: Any, episodes: int, device: torch.device) -> tuple[State, Tensor]:
    if hasattr(dynamics, "starts"):
        start = {name: value.to(device) for name, value in dynamics.starts().items()}
        return start, random.key(torch.arange(len(next(iter(start.values()))), device=device), _STREAM)
    keys = random.key(torch.arange(episodes, device=device), _STREAM)
    return dynamics.initial(random.fold(keys, 0)), keys


def _as_policy(agent: Any, dynamics: Dynamics, seeds: int) -> Act:
    """The agent's own choice, without exploration, for states of S seeds' paths one after the other."""
    kept: dict[str, Any] = {}

    def act(state: State, step: int) -> Tensor:
        observation = dynamics.observe(state).unflatten(0, (seeds, -1))
        began = torch.full(observation.shape[:2], step == 0, device=observation.device)
        before = kept["state"] if step else agent.initial_state(observation.shape[1])
        acted = agent.act(observation, before, began, torch.tensor(step, device=observation.device), explore=False)
        kept["state"] = acted.state
        return acted.action.flatten(0, 1)

    return act


@torch.no_grad()
def play(dynamics: Any, policy: Act, state: State, keys: Tensor) -> Played:
    """Episodes from a state to their ends, or as long as they may be; a path has its own random numbers by its key."""
    over = torch.zeros_like(keys, dtype=torch.bool)
    returns = torch.zeros_like(keys, dtype=torch.float64)
    for step in range(dynamics.max_episode_steps):
        following, reward, terminated = dynamics.transition(state, policy(state, step), random.fold(keys, step + 1))
        returns = returns + torch.where(over, 0.0, reward.double())
        state = select(over, state, following)
        over = over | terminated
        if bool(over.all()):
            break
    outcomes = dynamics.outcomes(state) if hasattr(dynamics, "outcomes") else {}
    return Played(returns.cpu().numpy(), {name: value.double().cpu().numpy() for name, value in outcomes.items()})


def _report(run: Run, played: dict[str, Played], agents: Sequence[str]) -> None:
    paths = len(next(iter(played.values())).returns)
    resamples = Resamples(paths)
    samples = {name: {"return": own.returns} | own.outcomes for name, own in played.items()}
    found = {
        what: {name: resamples.summary(own[what]) for name, own in samples.items()}
        for what in next(iter(samples.values()))
    }
    differences = [
        _difference(name, reference, played[name].returns, played[reference].returns, resamples)
        for name in agents
        for reference in played
        if reference not in agents
    ]
    document = {
        "env": run.config.env,
        "env_kwargs": run.config.env_kwargs,
        "agent": run.agent_name,
        "episodes": paths,
        "outcomes": {what: {name: asdict(own) for name, own in each.items()} for what, each in found.items()},
        "differences": [asdict(each) | {"verdict": each.verdict} for each in differences],
    }
    path = run.folder / "baselines.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{run.config.env}: {paths:,} episodes, the same for all, with 95 % bootstrap intervals")
    for what, each in found.items():
        _print(
            what,
            ("mean", "deviation", "CVaR 5 %"),
            {name: [str(own.mean), str(own.deviation), str(own.cvar)] for name, own in each.items()},
        )
    _print(
        "difference of mean returns",
        ("more", "in %", "verdict"),
        {
            f"{each.agent} beside {each.reference}": [
                str(each.more),
                "-" if each.share is None else f"{100 * each.share:+.1f}",
                each.verdict,
            ]
            for each in differences
        },
    )
    for agent in agents:
        print(_conclusion(agent, differences))
    print(f"written to {path}")


def _difference(
    agent: str, reference: str, returns: np.ndarray, reference_returns: np.ndarray, resamples: Resamples
) -> Difference:
    more, of = resamples.mean(returns - reference_returns), resamples.mean(reference_returns)
    share = more.value / abs(of.value) if of.low * of.high > 0.0 else None
    return Difference(agent, reference, more, share)


def _conclusion(agent: str, differences: Sequence[Difference]) -> str:
    own = [each for each in differences if each.agent == agent]
    better = [each.reference for each in own if each.verdict == "better"]
    others = [each.reference for each in own if each.reference not in better]
    if not better:
        return f"{agent} gains nothing: its mean return is surely more than that of no reference policy"
    return f"{agent} is better than {', '.join(better)}" + (f", but not than {', '.join(others)}" if others else "")


def _print(title: str, columns: Sequence[str], lines: dict[str, list[str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, cells in lines.items():
        table.add_row(name, *cells)
    Console(highlight=False).print(table)
