"""A network that writes like Shakespeare, character by character (Karpathy, 2015)."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Natural, NotNegative, Seed, check
from rlsuite.supervised.data.text import Characters, Text, shakespeare
from rlsuite.supervised.experiment import Command, Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import coloured_texts, curves
from rlsuite.supervised.language import LanguageConfig, Window, cells, counted, generate, make_learner, nats, streams
from rlsuite.supervised.learner import Learner
from rlsuite.supervised.source import Batches
from rlsuite.tracking.jsonl import read_metrics

Data = tuple[Text, Characters]
_BEGIN = "\n"  # read before an empty prompt
_TEMPERATURES = (0.5, 0.8, 1.0)
# Cells are searched for in so many stretches of the test text; the start of the first one is drawn.
_STRETCHES, _STRETCH, _DRAWN = 20, 400, 300


@dataclass(frozen=True, kw_only=True)
class ShakespeareConfig(LanguageConfig, group="evaluation"):
    sample_characters: Natural = 400
    """Characters of each sample that the run writes at an evaluation and at the end."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Write on after a prompt."""

    prompt: str = ""
    """Beginning of the text; may be empty."""
    temperature: NotNegative = 0.8
    """1 draws characters by their likelihood, less prefers the likely ones, 0 always takes the likeliest."""
    characters: Natural = 500
    """Characters to write after the prompt."""
    seed: Seed = 0
    """Of the random choices."""

    def __post_init__(self) -> None:
        check(self)


def load(config: ShakespeareConfig) -> Data:
    return shakespeare(config)


def make_source(setting: Setting[ShakespeareConfig, Data]) -> Batches[Window]:
    config, (text, _) = setting.config, setting.data
    return streams(text.train.to(setting.device), config.batch_size, config.steps, setting.seeds)


def learner_of(setting: Setting[ShakespeareConfig, Data], total_updates: int) -> Learner[Window]:
    config, (_, characters) = setting.config, setting.data

    def vectors() -> nn.Embedding:
        return nn.Embedding(len(characters), config.embedding)

    return make_learner(vectors, config, total_updates, setting.seeds, setting.device)


def evaluate(learner: Learner[Any], setting: Setting[ShakespeareConfig, Data], split: Split) -> dict[str, np.ndarray]:
    text, _ = setting.data
    found = nats(learner, getattr(text, split))
    return {"nats": found, "bits": found / math.log(2.0)}


def written(learner: Learner[Any], characters: Characters, sample: Sample) -> str:
    """Text that the first network writes after a prompt.

    Raises:
        ValueError: the prompt has characters that the network does not know.
    """
    prompt = characters.encode(sample.prompt or _BEGIN).tolist()
    return characters.decode(generate(learner, prompt, sample.characters, sample.temperature, sample.seed))


def sample(trained: Trained[ShakespeareConfig, Data], options: Sample) -> None:
    _, characters = trained.setting.data
    print(options.prompt + written(trained.learner, characters, options))


def look(trained: Trained[ShakespeareConfig, Data], source: Batches[Window]) -> None:
    """Write down what the network writes so far: a file a stage, so that a resumed run writes the same ones again."""
    folder = trained.folder / "samples"
    folder.mkdir(exist_ok=True)
    (folder / f"{source.drawn:08d}_updates.txt").write_text(_written_at(trained) + "\n")


def report(trained: Trained[ShakespeareConfig, Data]) -> Facts:
    """Collect samples in ``samples.txt``; draw the learning curve beside what counting reaches, and cells in a text."""
    text, characters = trained.setting.data
    levels = counted(torch.cat([text.train, text.validation]), text.test, len(characters))
    _collect_samples(trained)
    _draw_curve(trained, levels)
    return {"nats_by_counting": levels, "cells": _draw_cells(trained)}


def _written_at(trained: Trained[ShakespeareConfig, Data], temperature: float = 0.8) -> str:
    _, characters = trained.setting.data
    count = trained.setting.config.sample_characters
    return written(trained.learner, characters, Sample(characters=count, temperature=temperature))


def _collect_samples(trained: Trained[ShakespeareConfig, Data]) -> None:
    texts = {"before training": _written_at(replace(trained, learner=learner_of(trained.setting, 1)))}
    for file in sorted((trained.folder / "samples").glob("*.txt")):
        updates = int(file.stem.removesuffix("_updates"))
        texts[f"after {updates:,} updates"] = file.read_text().removesuffix("\n")
    for temperature in _TEMPERATURES:
        texts[f"the best network at temperature {temperature}"] = _written_at(trained, temperature)
    (trained.folder / "samples.txt").write_text(
        "\n\n".join(f"===== {heading} =====\n\n{text}" for heading, text in texts.items()) + "\n"
    )


def _draw_curve(trained: Trained[ShakespeareConfig, Data], levels: dict[str, float]) -> None:
    metrics = read_metrics(trained.folder / "metrics.jsonl")
    names = {"training": "loss/train", "validation": "validation/nats"}
    lines = {
        name: (metrics[metric].updates, metrics[metric].values.mean(axis=0))
        for name, metric in names.items()
        if metric in metrics
    }
    curves(
        trained.folder / "nats.png",
        lines,
        x_label="updates",
        y_label="nats a character",
        levels={f"{name}s counted": level for name, level in levels.items()},
    )


def _draw_cells(trained: Trained[ShakespeareConfig, Data]) -> dict[str, dict[str, float]]:
    """Find the cell that follows each of some properties of a text best, and draw a text coloured by it."""
    text, characters = trained.setting.data
    stretches = text.test[: _STRETCHES * _STRETCH].view(_STRETCHES, _STRETCH)
    texts = [characters.decode(stretch.tolist()) for stretch in stretches]
    found = cells(trained.learner, stretches, trained.setting.config.layers)
    shown: dict[str, tuple[str, np.ndarray]] = {}
    facts: dict[str, dict[str, float]] = {}
    for name, property_of in PROPERTIES.items():
        values = torch.tensor(np.stack([property_of(text) for text in texts]), dtype=torch.float32)
        correlations = _correlations(found.flatten(0, 1), values.flatten())
        cell = int(correlations.abs().argmax())
        correlation = float(correlations[cell])
        facts[name] = {"cell": cell, "correlation": round(correlation, 3)}
        own = found[0, :_DRAWN, cell].numpy()
        shown[f"{name}: cell {cell}, correlation {correlation:.2f}"] = texts[0][:_DRAWN], own
    coloured_texts(trained.folder / "cells.png", shown, "cells of the memory that follow a property of the text")
    return facts


def _correlations(cells: Tensor, values: Tensor) -> Tensor:
    """Of each column of ``[N, cells]`` with values ``[N]``; zero where one of them is constant."""
    cells, values = cells - cells.mean(dim=0), values - values.mean()
    return ((values @ cells) / (cells.norm(dim=0) * values.norm()).clamp(min=1e-12)).nan_to_num()


def place_in_line(text: str) -> np.ndarray:
    """Of each character the number of those before it in its line."""
    return np.concatenate([np.arange(len(line)) for line in text.splitlines(keepends=True)])


def in_name(text: str) -> np.ndarray:
    """Of each character whether it belongs to a speaker's name: a line that ends with a colon after an empty one."""
    marks, before = [], ""
    for line in text.splitlines(keepends=True):
        marks.append(np.full(len(line), line.rstrip("\n").endswith(":") and not before.strip()))
        before = line
    return np.concatenate(marks)


def place_in_word(text: str) -> np.ndarray:
    """Of each character the number of letters that end with it."""
    places: list[int] = []
    for character in text:
        places.append((places[-1] if places else 0) + 1 if character.isalpha() else 0)
    return np.array(places)


PROPERTIES = {"place in the line": place_in_line, "speaker's name": in_name, "place in the word": place_in_word}

EXPERIMENTS = [
    Experiment(
        name="shakespeare-lstm",
        task="Writes like Shakespeare, character by character: an LSTM",
        data="tiny Shakespeare",
        target=Target("nats", 1.60, higher_is_better=False),
        minutes=20,
        config=ShakespeareConfig(
            epochs=10,
            batch_size=32,
            learning_rate=3e-3,
            decay="cosine",
            max_gradient_norm=1.0,
            validation_fraction=0.05,
            dropout=0.3,
        ),
        load=load,
        make_source=make_source,
        make_learner=learner_of,
        evaluate=evaluate,
        look=look,
        report=report,
        commands={"sample": Command(Sample, sample)},
    )
]
