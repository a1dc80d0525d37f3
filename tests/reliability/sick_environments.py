"""Environments that fail, lie, hang or die under every agent, in this process, in processes of their own, in shards."""

import itertools
import os
import random
import shutil
import signal
from pathlib import Path

from forks import Running
from plans import NAME
from sick import FAULTS
from trials import Fault, Trials, faults_of

PROMISE = "Whatever an environment does, the run ends with its own results or in a line, and can be resumed."
HOW = (
    f"{len(FAULTS)} faults (raises, exits, wrong tuples, shapes, types, NaN, endless, few copies, odd infos, ...) "
    "under every agent, sync and async, in shards; then the environment is cured and the run resumed to its end."
)
_COMMON = (
    "--total-env-steps 200 --evaluate-every-env-steps 40 --evaluation-episodes 1 --final-episodes 2 --hidden 8 "
    "--log-every-env-steps 20 --wandb disabled --no-video --name run --device cpu --num-envs 2"
)
_AGENTS = {
    "dqn": "--learning-starts-env-steps 20 --batch-size 4 --replay-capacity 100",
    "ddpg": "--learning-starts-env-steps 20 --batch-size 4 --replay-capacity 100 --random-env-steps 20",
    "reinforce": "--rollout-env-steps 16",
}
_WAYS = {
    "sync": "",
    "async": "--vectorization async",
    "shards": "--seeds 2 --workers 2",
}
_PATH = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])}
_PATIENCE_SECONDS = 30.0


def trials(draw: random.Random, folder: Path) -> Trials:
    everything = list(itertools.product(FAULTS, _AGENTS))
    ways = list(_WAYS)
    for round_ in itertools.count():
        draw.shuffle(everything)
        for number, (fault, agent) in enumerate(everything):
            way = ways[(0, 1, 0, 1, 0, 1, 0, 2)[number % 8]] if round_ == 0 else draw.choice(ways)
            yield sick(fault, agent, way, folder / "sick")
            shutil.rmtree(folder / "sick")


def sick(fault: str, agent: str, way: str, folder: Path) -> list[Fault]:
    env = f"sick:sick/{fault}{'-continuous' if agent == 'ddpg' else ''}-v0"
    command = f"train {agent} --env {env} {_COMMON} {_AGENTS[agent]} {_WAYS[way]}".split()
    running = Running(command, folder, _PATH)
    ended = running.ended_within(_PATIENCE_SECONDS)
    if ended is None:
        running.signal(signal.SIGINT, group=True)
        ended = running.wait(60.0)
    faults = faults_of(ended)
    if (folder / "runs" / NAME / "config.json").exists():
        resumed = Running(["train", "--resume", f"runs/{NAME}"], folder, {**_PATH, "SICK_CURED": "1"}).wait()
        faults += faults_of(resumed, f"{fault}, {agent}, {way}: cured and resumed", (0,))
    return faults
