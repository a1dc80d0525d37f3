"""Tasks that need memory, made up as they are needed: counting, parity, adding, copying.

Shapes: S seeds, B sequences, T steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.networks.cells import KINDS, Kind
from rlsuite.networks.recurrent import RecurrentBackbone, WithMemory
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import curves
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, made_up

_EVALUATION_STREAM = 15
_EVALUATED = (500, 2_000)  # sequences of the two
_SYMBOLS, _COPIED = 8, 10  # of the copying task
_BLANK, _CUE = _SYMBOLS, _SYMBOLS + 1


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(SupervisedConfig, group="memory"):
    """Training of a task that needs memory."""

    epochs: Count = 8
    batch_size: Count = 32
    examples: Count = 6_400
    learning_rate: Positive = 3e-3
    max_gradient_norm: Positive | None = 1.0
    cell: Kind = "gru"
    """Kind of the recurrent cells."""
    hidden: Count = 64
    """Outputs of the recurrent cells."""
    steps: Count = 200
    """Steps of a sequence; of copying those in between."""
    long_memory: bool = True
    """Gates begin so that memories last as long as a sequence, not a step or two."""


class Sequences(NamedTuple):
    """Inputs ``[S, B, T, F]`` and what is wanted of each step ``[S, B, T]``."""

    inputs: Tensor
    wanted: Tensor


class Held(NamedTuple):
    """Sequences ``[1, N, T, ...]`` that are not trained on."""

    validation: Sequences
    test: Sequences


MemorySetting = Setting[MemoryConfig, Held]


@dataclass(frozen=True)
class Task:
    """A task: how sequences are made from random keys ``[S]``, and what is wanted of a network.

    Attributes:
        inputs, outputs: numbers a step.
        make: of a count and a number of steps.
        losses: of outputs ``[S, B, T, A]`` and what is wanted, ``[S, B, T]``.
        metrics: of the same, per seed.
        blind: what the target's metric is without memory, at a number of steps.
        only_last: only the last step counts.
    """

    inputs: int
    outputs: int
    make: Callable[[Tensor, int, int], Sequences]
    losses: Callable[[Tensor, Tensor], Tensor]
    metrics: Callable[[Tensor, Tensor], dict[str, Tensor]]
    blind: Callable[[int], float]
    only_last: bool = False

    def loss(self, network: Forward, batch: Sequences, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        """The mean loss over the steps that count."""
        outputs, _ = network(batch.inputs)
        each = self.losses(outputs, batch.wanted)
        return (each[:, :, -1] if self.only_last else each).flatten(1).mean(dim=1), {}, state


def counting(key: Tensor, batch: int, steps: int) -> Sequences:
    """Count of the numbers so far that were positive."""
    numbers = random.normal(key, batch, steps)
    return Sequences(numbers.unsqueeze(-1), (numbers > 0.0).float().cumsum(dim=-1))


def parity(key: Tensor, batch: int, steps: int) -> Sequences:
    """Whether the count of ones so far is odd."""
    bits = random.integers(key, 2, batch, steps)
    return Sequences(bits.float().unsqueeze(-1), bits.cumsum(dim=-1) % 2)


def adding(key: Tensor, batch: int, steps: int) -> Sequences:
    """The sum of the two numbers in [0, 1) that are marked, one in each half."""
    numbers = random.uniform(random.fold(key, 0), batch, steps)
    first, second = steps // 2, steps - steps // 2
    places = torch.stack(
        [
            random.integers(random.fold(key, 1), first, batch),
            random.integers(random.fold(key, 2), second, batch) + first,
        ],
        dim=-1,
    )
    marks = torch.zeros_like(numbers).scatter(-1, places, 1.0)
    total = (numbers * marks).sum(dim=-1, keepdim=True)
    return Sequences(torch.stack([numbers, marks], dim=-1), total.expand_as(numbers))


def copying(key: Tensor, batch: int, steps: int) -> Sequences:
    """Ten symbols, to be written again after so many blanks and a cue; blanks are wanted until then."""
    symbols = random.integers(key, _SYMBOLS, batch, _COPIED)
    seen = torch.full((*symbols.shape[:2], steps + 2 * _COPIED), _BLANK, dtype=torch.int64, device=key.device)
    wanted = seen.clone()
    seen[:, :, :_COPIED] = symbols
    seen[:, :, -_COPIED - 1] = _CUE
    wanted[:, :, -_COPIED:] = symbols
    return Sequences(F.one_hot(seen, _SYMBOLS + 2).float(), wanted)


def squares(outputs: Tensor, wanted: Tensor) -> Tensor:
    return (outputs.squeeze(-1) - wanted).square()


def cross_entropies(outputs: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), wanted.flatten(), reduction="none").view(wanted.shape)


def last_is_right(predicted: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    return {"accuracy": (predicted[:, :, -1] == wanted[:, :, -1]).float().mean(dim=1)}


def copied(outputs: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    hits = outputs.argmax(dim=-1)[:, :, -_COPIED:] == wanted[:, :, -_COPIED:]
    return {
        "cross_entropy": cross_entropies(outputs, wanted).flatten(1).mean(dim=1),
        "accuracy": hits.float().flatten(1).mean(dim=1),
    }


COUNTING = Task(
    1,
    1,
    counting,
    squares,
    lambda outputs, wanted: last_is_right(outputs.squeeze(-1).round(), wanted),
    # Always half of the steps: the most likely count.
    blind=lambda steps: math.comb(steps, steps // 2) / 2**steps,
)
PARITY = Task(
    1,
    2,
    parity,
    cross_entropies,
    lambda outputs, wanted: last_is_right(outputs.argmax(dim=-1), wanted),
    blind=lambda steps: 0.5,
)
ADDING = Task(
    2,
    1,
    adding,
    squares,
    lambda outputs, wanted: {"mse": squares(outputs, wanted)[:, :, -1].mean(dim=1)},
    blind=lambda steps: 1.0 / 6.0,  # the variance of a sum
    only_last=True,
)
COPYING = Task(
    _SYMBOLS + 2,
    _SYMBOLS + 1,
    copying,
    cross_entropies,
    copied,
    blind=lambda steps: _COPIED * math.log(_SYMBOLS) / (steps + 2 * _COPIED),
)


def network_of(task: Task, config: MemoryConfig, cell: Kind) -> WithMemory:
    memory_steps = config.steps if config.long_memory else None
    backbone = RecurrentBackbone(task.inputs, config.hidden, cell, memory_steps=memory_steps)
    return WithMemory(nn.Identity(), backbone, nn.Linear(config.hidden, task.outputs))


def experiment(
    name: str, task: Task, described: str, target: Target, minutes: float, config: MemoryConfig
) -> Experiment[MemoryConfig, Held]:
    def load(config: MemoryConfig) -> Held:
        if config.steps < 2:
            raise ValueError("--steps must be at least 2, for there to be something to remember")
        keys = random.key(torch.arange(2), _EVALUATION_STREAM)
        made = [task.make(key, count, config.steps) for key, count in zip(keys.split(1), _EVALUATED, strict=True)]
        return Held(*made)

    def make_source(setting: MemorySetting) -> Batches[Sequences]:
        config = setting.config
        an_epoch = max(config.examples // config.batch_size, 1)
        return made_up(
            lambda keys: task.make(keys, config.batch_size, config.steps), setting.seeds, an_epoch, setting.device
        )

    def make_learner(setting: MemorySetting, total_updates: int) -> Learner[Sequences]:
        config = setting.config
        return Learner(
            lambda: network_of(task, config, config.cell),
            task.loss,
            config,
            total_updates,
            setting.seeds,
            setting.device,
        )

    def evaluate(learner: Learner[Any], setting: MemorySetting, split: Split) -> dict[str, np.ndarray]:
        held: Sequences = getattr(setting.data, split)
        inputs = held.inputs.to(setting.device)
        outputs = torch.cat(
            [learner(part.expand(len(setting.seeds), -1, -1, -1))[0] for part in inputs.split(250, dim=1)], dim=1
        )
        found = task.metrics(outputs, held.wanted.to(setting.device).expand(len(outputs), -1, -1))
        return {name: value.cpu().numpy() for name, value in found.items()}

    def report(trained: Trained[MemoryConfig, Held]) -> Facts:
        draw_gradients(trained, task)
        return {"blind": task.blind(trained.setting.config.steps)}

    return Experiment(
        name=name,
        task=described,
        data="made up",
        target=target,
        minutes=minutes,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        levels=lambda setting: {"without memory": task.blind(setting.config.steps)},
    )


def draw_gradients(trained: Trained[MemoryConfig, Held], task: Task) -> None:
    """Draw how the gradient of the last step's loss with respect to the state at each step comes back through time."""
    config, seeds = trained.setting.config, trained.setting.seeds
    held = trained.setting.data.validation
    batch = Sequences(*(tensor[0, : config.batch_size] for tensor in held))
    lines = {}
    for kind in KINDS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds[0])
            network = network_of(task, config, kind)
        lines[f"{kind}, at the start"] = gradient_norms(network, batch, task)
    network = network_of(task, config, config.cell)
    own = trained.learner.network.named(trained.learner.network.parameters)
    network.load_state_dict({name: parameter[0].cpu() for name, parameter in own.items()})
    lines[f"{config.cell}, trained"] = gradient_norms(network, batch, task)
    steps = np.arange(1, batch.wanted.shape[-1] + 1)
    curves(
        trained.folder / "gradients.png",
        {name: (steps, norms) for name, norms in lines.items()},
        x_label="step t",
        y_label="|d loss / d state(t)|, last step = 1",
        title="What the loss of the last step says about earlier states",
        log_y=True,
    )


def gradient_norms(network: WithMemory, batch: Sequences, task: Task) -> np.ndarray:
    """The norm of the gradient of the last step's loss with respect to the state after each step, the last one 1."""
    assert network.recurrent is not None
    state, states = torch.zeros(len(batch.inputs), network.state_size, requires_grad=True), []
    for step in batch.inputs.split(1, dim=1):
        outputs, state = network(step, state)
        states.append(state)
    # The state after the last step has a part in nothing else than the outputs, which are a part of it.
    outputs = network.head(state[:, : network.recurrent.hidden]).unsqueeze(1)
    loss = task.losses(outputs.unsqueeze(0), batch.wanted[None, :, -1:]).sum()
    norms = torch.stack([gradient.norm(dim=1).mean() for gradient in torch.autograd.grad(loss, states)])
    # Below the smallest number that is drawn lies nothing but rounding.
    return (norms / norms[-1]).clamp(min=1e-12).numpy()


_CALLED: dict[Kind, str] = {"rnn": "a plain RNN", "gru": "a GRU", "lstm": "an LSTM", "orthogonal": "an orthogonal RNN"}
_MINUTES: dict[Kind, float] = {"rnn": 5, "gru": 7, "lstm": 3, "orthogonal": 7}

EXPERIMENTS = [
    experiment(
        "counting",
        COUNTING,
        "Count the positive numbers of a sequence",
        Target("accuracy", 0.95),
        minutes=3,
        config=MemoryConfig(cell="lstm", steps=30, epochs=30, decay="linear"),
    ),
    experiment(
        "parity",
        PARITY,
        "Tell whether the count of ones so far is odd",
        Target("accuracy", 0.99),
        minutes=1,
        config=MemoryConfig(cell="lstm", steps=30),
    ),
    *(
        experiment(
            f"adding-{kind}",
            ADDING,
            f"Add the two marked numbers of 200, with {called}",
            Target("mse", 0.01, higher_is_better=False),
            minutes=_MINUTES[kind],
            config=MemoryConfig(cell=kind),
        )
        for kind, called in _CALLED.items()
    ),
    *(
        experiment(
            f"copying-{kind}",
            COPYING,
            f"Remember ten symbols over 100 blanks, with {called}",
            Target("cross_entropy", 0.05, higher_is_better=False),
            minutes=_MINUTES[kind],
            config=MemoryConfig(cell=kind, steps=100),
        )
        for kind, called in _CALLED.items()
    ),
]
