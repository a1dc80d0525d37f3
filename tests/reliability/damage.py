"""Run folders whose files are damaged, foreign, or made to do harm."""

import itertools
import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from forks import run
from plans import NAME, PLANS, Plan, differences
from trials import Fault, Trials, faults_of

from rlsuite.training.checkpoint import load, save

PROMISE = "A damaged or hostile file is refused in a line: no traceback, no other value in silence, no code."
HOW = (
    "bytes of config.json, metrics.jsonl and checkpoint files are flipped, cut off or replaced by a pickle; values "
    "change type, size or shape under a valid checksum. Then the run is resumed, evaluated and compared. "
    "A checkpoint with damaged bytes that is accepted must give the same results."
)
_STRANGE: list[Any] = [None, True, -1, 0, 1.5, 1e308, 10**30, "", "x", "../..", [], [1, "a"], {}, {"a": {}}, "NaN"]
_NAMES = ("dqn", "reinforce", "supervised", "ddpg on tensors")
_MESSAGE = "code from a file was run"


class _Harm:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (print, (_MESSAGE,))


def trials(draw: random.Random, folder: Path) -> Trials:
    expected: dict[tuple[str, str], Path] = {}
    for number in itertools.count():
        name = _NAMES[number % len(_NAMES)]
        plan, whole, damaged = PLANS[name], folder / f"whole {name}", folder / "damaged"
        if not whole.exists():
            yield faults_of(plan.finish(whole), "undamaged", (0,))
        checkpoint = draw.choice(("last", "last", "previous", "best"))
        command = draw.choice(_commands(plan, checkpoint))
        if (name, command) not in expected:
            expected[name, command] = folder / f"undamaged {len(expected)}"
            shutil.copytree(whole, expected[name, command])
            yield faults_of(run(command.split(), expected[name, command]), "undamaged", (0,))
        shutil.copytree(whole, damaged)
        story = draw.choice((_bytes, _bytes, _json, _state))(draw, damaged / "runs" / NAME, checkpoint)
        ended = run(command.split(), damaged)
        faults = faults_of(ended, f"after {story}")
        if ended.status == 0 and story.startswith("bytes of checkpoint"):
            differing = _differences(command, expected[name, command], damaged)
            if differing:
                faults.append(Fault("difference", "\n".join([ended.command, story, *differing])))
        if _MESSAGE in ended.output:
            faults.append(Fault("other", f"{story}\n$ {ended.command}\n{_MESSAGE}"))
        yield faults
        shutil.rmtree(damaged)


def _commands(plan: Plan, checkpoint: str) -> list[str]:
    """What may be done with a run, if possible with that checkpoint."""
    if not plan.start.startswith("train"):
        return [plan.resume]
    chosen = f"runs/{NAME} --checkpoint {checkpoint}"
    evaluate = f"evaluate {chosen} --episodes 1"
    if checkpoint == "best":  # which is never resumed
        return [evaluate, f"watch {chosen} --record out.gif --max-seconds 0.1"]
    return [f"train --resume {chosen} --total-env-steps 660", evaluate, f"compare runs/{NAME}"]


def _differences(command: str, expected: Path, found: Path) -> list[str]:
    """What came out of a command beside what comes out of the undamaged run."""
    if "--resume" in command:
        return differences(expected, found)
    paths = [folder / "runs" / NAME / "evaluation.json" for folder in (expected, found)]
    return ["evaluation.json"] if paths[0].read_text() != paths[1].read_text() else []


def _bytes(draw: random.Random, folder: Path, checkpoint: str) -> str:
    """Change bytes of a file."""
    at = folder / "checkpoint" / checkpoint
    path = draw.choice([at, at, at, folder / "config.json", folder / "metrics.jsonl"])
    content = bytearray(path.read_bytes())
    place = draw.randrange(max(len(content), 1))
    match draw.choice(("flipped", "cut off", "inserted", "emptied", "removed", "pickled", "a folder")):
        case "flipped" if content:
            content[place] ^= 1 << draw.randrange(8)
            how = f"bit flipped in byte {place}"
        case "cut off":
            del content[place:]
            how = f"cut off at {place}"
        case "inserted":
            content[place:place] = draw.randbytes(draw.choice((1, 8, 200)))
            how = f"random bytes put in at {place}"
        case "removed":
            path.unlink()
            return f"bytes of {path.relative_to(folder)}: removed"
        case "a folder":
            path.unlink()
            path.mkdir()
            return f"bytes of {path.relative_to(folder)}: a folder in its place"
        case "pickled":
            content = bytearray(pickle.dumps(_Harm()))
            how = "a pickle in its place"
        case _:
            content = bytearray()
            how = "emptied"
    path.write_bytes(content)
    return f"bytes of {path.relative_to(folder)}: {how}"


def _json(draw: random.Random, folder: Path, checkpoint: str) -> str:
    """Change a value of a JSON file; what is left is JSON."""
    path = folder / draw.choice(("config.json", "config.json", "metrics.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else []
    document = draw.choice(lines) if lines else json.loads(path.read_text())
    changed = _change(draw, document)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) if lines else json.dumps(document))
    return f"values of {path.name}: {changed}"


def _state(draw: random.Random, folder: Path, checkpoint: str) -> str:
    """Change a value or a tensor of a checkpoint, and save it as rlsuite does: all checksums fit."""
    state = load(folder / "checkpoint" / checkpoint)
    changed = _change(draw, state)
    save(folder / "checkpoint" / checkpoint, state)
    return f"values of checkpoint {checkpoint}: {changed}"


def _change(draw: random.Random, document: dict[str, Any]) -> str:
    """Replace, remove or add an entry somewhere in nested dictionaries."""
    places = list(_places(document))
    entries, name = draw.choice(places)
    old = entries[name]
    if isinstance(old, torch.Tensor):
        entries[name] = draw.choice((_other_shape, _other_dtype, _other_values))(old)
        return f"{name} {tuple(old.shape)} {old.dtype} became {tuple(entries[name].shape)} {entries[name].dtype}"
    match draw.choice(("replace", "replace", "replace", "remove", "add")):
        case "replace":
            entries[name] = draw.choice([value for value in _STRANGE if value != old])
            return f"{name} became {entries[name]!r}"
        case "remove":
            del entries[name]
            return f"{name} removed"
        case _:
            entries["unheard_of"] = draw.choice(_STRANGE)
            return f"unheard_of={entries['unheard_of']!r} beside {name}"


def _places(entries: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for name, value in entries.items():
        yield entries, name
        if isinstance(value, dict):
            yield from _places(value)


def _other_shape(tensor: torch.Tensor) -> torch.Tensor:
    return torch.cat([tensor.reshape(-1), tensor.reshape(-1)[:1]]) if tensor.numel() else torch.zeros(3)


def _other_dtype(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double() if tensor.dtype != torch.float64 else tensor.to(torch.int8)


def _other_values(tensor: torch.Tensor) -> torch.Tensor:
    return torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else torch.full_like(tensor, 99)
