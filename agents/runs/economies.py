"""One economy solved in several ways, judged by one certificate: from rewards, values, and Euler equations."""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from agents.runs.presets import preset
from agents.runs.registry import config_class
from agents.runs.run import load_agent, open_run
from agents.runs.training import train
from rlsuite.deqn import registry, value_iteration
from rlsuite.deqn.certificate import certify, reference_of
from rlsuite.deqn.model import Policy, PolicyFunction
from rlsuite.deqn.run import solve
from rlsuite.deqn.single_agent import SingleAgent
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.wandb_writer import Mode

# Economies whose policy is the share saved alone: an agent does not choose the multiplier of a constraint.
ENVIRONMENTS = {
    "brock-mirman": "rlsuite/BrockMirman-v0",
    "growth": "rlsuite/StochasticGrowth-v0",
    "krusell-smith-household": "rlsuite/KrusellSmith-v0",
}
_AGENTS = ("reinforce", "ppo", "ddpg")
_ADAM_UPDATES = 3_000  # of the net without a second phase, to take about as long as the one with it
_INTERRUPTED = 130


@dataclass(frozen=True)
class Result:
    """The accuracy of one method's solution, and the time and env steps that it took."""

    method: str
    euler_log10: dict[str, float] | None  # mean, p99 and max; None of a policy that is nowhere feasible
    welfare_loss: float | None  # share of consumption
    seconds: float  # of training or solving, on this machine's wall clock
    transitions: int  # env steps, and the nodes of tomorrow that expectations summed over


def compare(model_name: str, seed: int = 0, runs: str = "runs", wandb: Mode = "disabled") -> int:
    """Solve an economy by agents, equilibrium nets, value iteration and its reference; print the table.

    Value iteration takes states of two columns. Everything is kept in a folder under ``runs``, the table as
    ``comparison.json``.

    Returns:
        The exit status: 0, or 130 when interrupted.

    Raises:
        ValueError: no such economy, or one that cannot be compared.
    """
    if model_name not in ENVIRONMENTS:
        registry.find(model_name)
        raise ValueError(f"{model_name} cannot be compared: only {', '.join(ENVIRONMENTS)} can")
    model = registry.build(model_name)
    assert isinstance(model, SingleAgent)
    folder = Path(runs) / f"compare-{model_name}-{time.strftime('%Y%m%d-%H%M%S')}"
    results = []
    for agent in _AGENTS:
        if not _train(agent, model_name, seed, folder, wandb):
            return _INTERRUPTED
        results.append(_result(agent.upper(), folder / agent, certify(model, _policy(model, folder / agent), seed)))
    tuned = registry.tuned(model_name)
    one_phase = dataclasses.replace(tuned, adam_updates=_ADAM_UPDATES, polish_updates=0)
    for method, config in (("DEQN-Adam", one_phase), ("DEQN-LM", tuned)):
        name = method.lower()
        if solve(model_name, seed=seed, name=name, runs=str(folder), wandb=wandb, config=config) == _INTERRUPTED:
            return _INTERRUPTED
        results.append(_result(method, folder / name, json.loads((folder / name / "certificate.json").read_text())))
    if len(model.state_names) == 2:
        started = time.monotonic()
        grid = value_iteration.solve(model)
        seconds = time.monotonic() - started
        results.append(_summary("value iteration", certify(model, grid.policy, seed), seconds, grid.transitions))
    reference, _ = reference_of(model)
    assert reference is not None
    results.append(_summary("reference", certify(model, reference, seed), 0.0, 0))
    (folder / "comparison.json").write_text(json.dumps([dataclasses.asdict(r) for r in results], indent=2) + "\n")
    _print(model_name, seed, results)
    print(f"written to {folder / 'comparison.json'}")
    return 0


def _train(agent: str, model_name: str, seed: int, folder: Path, wandb: Mode) -> bool:
    """Train an agent on an economy; returns whether it finished."""
    env = ENVIRONMENTS[model_name]
    options = preset(agent, env) | {"env": env, "seed": seed, "name": agent, "runs": str(folder), "wandb": wandb}
    return train(agent, config_class(agent)(**options, device="cpu", video=False)).finished


def _policy(model: SingleAgent, folder: Path) -> PolicyFunction:
    """Return the greedy policy of a run's trained agent, a function of states ``[B, D]``."""
    agent = load_agent(open_run(folder), "last")

    def decide(state: Tensor) -> Policy:
        observation = model.features(state).float().unsqueeze(0)
        began = torch.zeros(observation.shape[:2], dtype=torch.bool)
        state = agent.initial_state(observation.shape[1])
        share = agent.act(observation, state, began, torch.tensor(0), explore=False).action
        return model.save(share[0, :, 0].double().clamp(*model.saving_bounds), state)

    return decide


def _result(method: str, folder: Path, report: dict[str, Any]) -> Result:
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    integrated = read_metrics(folder / "metrics.jsonl").get("solver/transitions")
    transitions = 0
    if integrated is not None:  # means over the updates since the line before
        transitions = round(float(integrated.values[0] @ np.diff(integrated.updates, prepend=0)))
    return _summary(method, report, last["wall_seconds"], last["env_steps"] + transitions)


def _summary(method: str, report: dict[str, Any], seconds: float, transitions: int) -> Result:
    errors = report.get("euler_log10")
    shown = None if errors is None else {name: errors[name] for name in ("mean", "p99", "max")}
    return Result(method, shown, report.get("consumption_loss"), seconds, transitions)


def _print(model_name: str, seed: int, results: list[Result]) -> None:
    title = f"{model_name}, seed {seed}: Euler errors as log10"
    table = Table(title=title, title_justify="left", show_edge=False)  # without edges, to fit 80 columns
    for column in ("method", "mean", "p99", "max", "welfare", "seconds", "transitions"):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
    for result in results:
        errors = result.euler_log10 or {}
        table.add_row(
            result.method,
            *(f"{errors[name]:.2f}" if name in errors else "-" for name in ("mean", "p99", "max")),
            "-" if result.welfare_loss is None else f"{result.welfare_loss + 0.0:.1e}",
            f"{result.seconds:.1f}",
            f"{result.transitions:,}",
        )
    Console(highlight=False).print(table)
