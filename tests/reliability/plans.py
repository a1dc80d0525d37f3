"""Small runs of every agent and source: how they are started, how they are resumed, and whether two are the same."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from forks import Ended, Running

from rlsuite.deqn import certificate, dynamics, plots
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, Name

NAME = "run"
_OPTIONS = "--name run --wandb disabled --device cpu --seeds 2"
_AGENT = f"{_OPTIONS} --no-video --hidden 16 --evaluation-episodes 2 --final-episodes 3 --checkpoint-every-seconds 0.1"
_STEPS = "--total-env-steps 600 --evaluate-every-env-steps 200 --log-every-env-steps 50"
_REPLAY = "--learning-starts-env-steps 100 --replay-capacity 400 --batch-size 8 --preset none"
_DQN = f"train dqn {_AGENT} {_STEPS} {_REPLAY} --n-step 3"
_DDPG = f"train ddpg {_AGENT} {_STEPS} {_REPLAY} --random-env-steps 200 --noise ornstein-uhlenbeck"
_REINFORCE = f"train reinforce {_AGENT} {_STEPS} --num-envs 2 --rollout-env-steps 64 --preset none"
_SHARDS = "--seeds 3 --workers 2"


@dataclass(frozen=True)
class Plan:
    """A run: the command that starts it, and what resumes it."""

    start: str
    resume: str
    prepare: Callable[[], None] | None = None  # called in the run's process

    def go_on(self, folder: Path, **options: Any) -> Running:
        """Start the run below ``folder``, or resume it where it has begun."""
        has_begun = (folder / "runs" / NAME / "config.json").exists()
        command = (self.resume if has_begun else self.start).split()
        return Running(command, folder, **{"prepare": self.prepare, **options})

    def finish(self, folder: Path, **options: Any) -> Ended:
        """Start or resume the run, and wait until it has ended."""
        return self.go_on(folder, **options).wait()


def _agent(start: str) -> Plan:
    return Plan(start, "train --resume runs/run")


def _examine_briefly() -> None:
    """Certificates of a few states instead of many: they follow from the checkpoint, whatever their length."""
    certificate._BURN_IN_PERIODS = certificate._KEPT_PERIODS = plots._BURN_IN_PERIODS = 2
    certificate._CUT, certificate._REACH_STATES = 0.9, 1000
    certificate.den_haan_marcet = partial(dynamics.den_haan_marcet, periods=20, burn_in=2)
    certificate.stability = partial(dynamics.stability, periods=20)


_DIGITS = f"supervised digits-lenet {_OPTIONS} --epochs 2 --batch-size 64"
_ECONOMY = f"equilibrium brock-mirman {_OPTIONS} --adam-updates 60 --polish-updates 5"

PLANS = {
    "dqn": _agent(f"{_DQN} --env CartPole-v1"),
    "ddpg": _agent(f"{_DDPG} --env Pendulum-v1"),
    "reinforce": _agent(f"{_REINFORCE} --env CartPole-v1"),
    "dqn on tensors": _agent(f"{_DQN} --env rlsuite/CartPole-v1"),
    "ddpg on tensors": _agent(f"{_DDPG} --env rlsuite/Pendulum-v1"),
    "reinforce on tensors": _agent(f"{_REINFORCE} --env rlsuite/CartPole-v1"),
    "supervised": Plan(_DIGITS, "supervised --resume runs/run"),
    "economy": Plan(_ECONOMY, "equilibrium --resume runs/run", _examine_briefly),
    "dqn in shards": _agent(f"{_DQN} --env rlsuite/CartPole-v1 {_SHARDS} --shards 3"),
    "dqn in processes": _agent(f"{_DQN} --env CartPole-v1 --num-envs 2 --vectorization async"),
    "ddpg in shards": _agent(f"{_DDPG} --env Pendulum-v1 {_SHARDS}"),
    "reinforce in shards": _agent(f"{_REINFORCE} --env rlsuite/CartPole-v1 {_SHARDS} --shards 3"),
    "dqn on pixels": _agent(f"{_DQN} --env rlsuite/MinAtar-Breakout-v0 --total-env-steps 400"),
}
SIMPLE = [name for name in PLANS if "shards" not in name and "processes" not in name]


def differences(expected: Path, found: Path) -> list[str]:
    """What differs between two finished runs; times and speeds do."""
    differing: list[str] = []
    names: tuple[Name, ...] = ("last", "best")
    for name in names:
        both = [Checkpoints(folder / "runs" / NAME / "checkpoint") for folder in (expected, found)]
        if any(checkpoints.exists(name) for checkpoints in both):
            states = [_state(checkpoints, name) for checkpoints in both]
            differing += [f"checkpoint {name}: {text}" for text in _of_states(*states)]
    rows, other_rows = (_metrics(folder / "runs" / NAME / "metrics.jsonl") for folder in (expected, found))
    if rows != other_rows:
        pairs = zip(rows, other_rows, strict=False)
        first = next((k for k, (row, other) in enumerate(pairs) if row != other), min(len(rows), len(other_rows)))
        shown = [str(lines[first : first + 1])[:200] for lines in (rows, other_rows)]
        differing.append(f"metrics.jsonl, {len(rows)} and {len(other_rows)} lines, row {first}: {' and '.join(shown)}")
    for name in ("evaluation.json", "certificate.json"):
        contents = [_text(folder / "runs" / NAME / name) for folder in (expected, found)]
        if contents[0] != contents[1]:
            differing.append(f"{name}: {contents[0]!r:.200} and {contents[1]!r:.200}")
    return differing


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _state(checkpoints: Checkpoints, name: Name) -> dict[str, Any]:
    try:
        return dict(_flat(checkpoints.load(name)))
    except CheckpointError as error:
        return {"error": str(error)}


def _flat(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        elif "seconds" not in name:
            yield f"{prefix}{name}", value


def _of_states(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    names = sorted(expected.keys() ^ found.keys())
    if names:
        return [f"{', '.join(names)[:300]} only in one"]
    return [name for name, value in expected.items() if not _same(value, found[name])]


def _same(value: Any, other: Any) -> bool:
    if not isinstance(value, torch.Tensor) or not isinstance(other, torch.Tensor):
        return type(value) is type(other) and str(value) == str(other)
    if value.dtype != other.dtype or value.shape != other.shape:
        return False
    return value.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()


def _metrics(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{name: value for name, value in row.items() if not _is_time(name)} for row in rows]


def _is_time(name: str) -> bool:
    return name == "wall_seconds" or name.startswith(("speed/", "time/"))
