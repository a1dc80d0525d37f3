"""Command lines that people type, right and wrong."""

import itertools
import random
import re
import resource
import shlex
import shutil
import signal
from pathlib import Path

from forks import Ended, Running, run
from plans import PLANS
from trials import Fault, Trials, faults_of

PROMISE = "Whatever is typed: no traceback, no hang; a command that fails says so by its status and leaves no folder."
HOW = (
    "the options that each script's --help lists, with values right and wrong, singly and together, misspelt, cut "
    "short, in all scripts; what takes long gets Ctrl-C and must obey. Status 0 must mean that the results are there."
)
_TRAIN = (
    "--name run --wandb disabled --no-video --device cpu --hidden 8 --total-env-steps 60 --evaluate-every-env-steps 30 "
    "--evaluation-episodes 1 --final-episodes 2 --log-every-env-steps 20"
)
# A command that works, and what it leaves behind.
_COMMANDS = {
    f"train dqn --env CartPole-v1 {_TRAIN} --learning-starts-env-steps 20": "**/evaluation.json",
    f"train ddpg --env rlsuite/Pendulum-v1 {_TRAIN} --learning-starts-env-steps 20": "**/evaluation.json",
    f"train reinforce --env rlsuite/CartPole-v1 {_TRAIN} --rollout-env-steps 16": "**/evaluation.json",
    "train --resume runs/run": "runs/run/evaluation.json",
    "evaluate runs/run --episodes 2": "runs/run/evaluation.json",
    "compare runs/run": "*.p*",
    "watch runs/run --record out.gif --max-seconds 0.1": "**/*.[gm][ip][f4]",
    "supervised digits-lenet --name run --wandb disabled --epochs 1 --batch-size 512": "**/evaluation.json",
    "equilibrium brock-mirman --name run --wandb disabled --adam-updates 2 --polish-updates 1": "**/certificate.json",
    "equilibrium certify runs/run": "runs/run/certificate.json",
    "benchmark replay": "nothing",  # it takes long: only what does not start is of interest
}
_IDS = """
    CartPole-v1 CartPole-v0 CartPole CartPol-v1 cartpole-v1 Blackjack-v1 FrozenLake-v1 Pendulum-v1
    MountainCarContinuous-v0 rlsuite/CartPole-v1 rlsuite/Pendulum-v1 rlsuite/Nothing-v0 ALE/Pang-v5 ALE/
    nothing:Env-v0 os:system json:CartPole-v1 :
"""
_VALUES = """
    -1 0 1 2 3 7 100 0.5 -0.5 1.5 1e-3 1e3 1e18 1e400 nan inf -inf 100000000000 9223372036854775807 9223372036854775808
    -9223372036854775809 0x10 1_000 1, , 1,2 1e-3,nan abc None True auto none cpu cuda cuda:7 mps meta eager graph sync
    async nature machado mlp small impala huber mse last best previous offline ../x a/b /dev/null /proc/x runs/run .
    - -- $HOME é 漢 {} [] *
"""
_ODD_VALUES = ["", " ", "a b", "\n", "x" * 300]
_PATIENCE_SECONDS = 10.0
_MEMORY_BYTES = 4 << 30


def trials(draw: random.Random, folder: Path) -> Trials:
    trained, solved = folder / "trained", folder / "solved"
    yield faults_of(PLANS["dqn"].finish(trained), "right", (0,))
    yield faults_of(PLANS["economy"].finish(solved), "right", (3,))
    options = {command: _options(command, trained) for command in _COMMANDS}
    for number in itertools.count():
        command, result = draw.choice(list(_COMMANDS.items()))
        place = folder / f"typed {number}"
        words = command.split()
        if "runs/run" in words:
            shutil.copytree(solved if words[0] == "equilibrium" else trained, place)
            for path in place.glob("runs/*/*.json"):
                path.name == "config.json" or path.unlink()
        yield typed(_vary(draw, words, options[command]), place, result)
        shutil.rmtree(place)


def typed(words: list[str], folder: Path, result: str) -> list[Fault]:
    running = Running(words, folder, prepare=_prepare)
    ended = running.ended_within(_PATIENCE_SECONDS)
    if ended is None:
        running.signal(signal.SIGINT, group=True)
        ended = running.wait(60.0)
    faults = faults_of(ended)
    if ended.status == 0 and not list(folder.glob(result)) and not _shows_text(words):
        faults.append(_other(ended, f"status 0 although there is no {result}"))
    if ended.status not in (0, 3, 130):
        left = [path.parent for path in folder.glob("**/config.json") if not (path.parent / "checkpoint").exists()]
        left += [path for path in folder.glob("runs/*") if path.is_dir() and not any(path.iterdir())]
        if left:
            faults.append(_other(ended, f"failed, and left {left[0].relative_to(folder)}"))
    if ended.status not in (0, 3, 130) and not ended.output.strip():
        faults.append(_other(ended, "failed without a word"))
    return faults


def _prepare() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, resource.RLIM_INFINITY))
    plan = PLANS["economy"]
    assert plan.prepare is not None
    plan.prepare()


def _other(ended: Ended, what: str) -> Fault:
    return Fault("other", f"{what}\n$ {ended.command}\nstatus {ended.status}\n{ended.output[-1500:]}")


def _shows_text(words: list[str]) -> bool:
    return bool({"-h", "--help", "list"} & set(words)) or len(words) == 1


def _options(command: str, folder: Path) -> list[str]:
    """What the script's help lists."""
    words = [word for word in shlex.split(command)[:3] if not word.startswith("--env")]
    text = run([*words, "--help"], folder).output
    return sorted(set(re.findall(r"--[a-z][a-z0-9-]+", text)) - {"--help"}) or ["--help"]


def _vary(draw: random.Random, words: list[str], options: list[str]) -> list[str]:
    """The command with a few options more, and now and then a mistake."""
    words, values = list(words), _VALUES.split() + _ODD_VALUES
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        option, value = draw.choice(options), draw.choice(values)
        if option == "--env" or draw.random() < 0.2:
            option, value = "--env", draw.choice(_IDS.split())
        words += [f"{option}={value}"] if draw.random() < 0.2 else [option, value]
    place = draw.randrange(1, len(words)) if len(words) > 1 else 0
    match draw.choice(("none", "none", "none", "left out", "twice", "misspelt", "other", "cut short", "script alone")):
        case "left out":
            del words[place : place + 1]
        case "twice":
            words.insert(place, words[place])
        case "misspelt" if place and len(words[place]) > 2:
            letter = draw.randrange(len(words[place]))
            words[place] = words[place][:letter] + words[place][letter + 1 :]
        case "other":
            words[place] = draw.choice(values) if place else words[place]
        case "cut short":
            del words[place:]
        case "script alone":
            del words[1:]
    return words if words else ["train"]
