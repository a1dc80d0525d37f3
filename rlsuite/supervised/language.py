"""Language models: networks that read a text as a stream and say what comes next, their measure and their samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count
from rlsuite.networks.modes import Dropout
from rlsuite.networks.recurrent import RecurrentBackbone
from rlsuite.supervised.config import SupervisedConfig
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches

_OFFSET_STREAM, _SAMPLE_STREAM = 17, 18
# A text is evaluated in lanes, each of which first reads what comes before its own part.
_LANES, _BEFORE, _STEPS = 64, 192, 64


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(SupervisedConfig, group="network"):
    """Options of a recurrent language model."""

    hidden: Count = 512
    """Hidden units of a layer."""
    layers: Count = 1
    """Recurrent layers."""
    embedding: Count = 64
    """Numbers in the vector of a character or a word."""
    dropout: float = 0.0
    """Share of the numbers into and out of the recurrent layers that are zero, the same in all steps of a window."""
    steps: Count = 64
    """Characters or words that gradients go back."""


class LanguageModel(nn.Module):
    """Embedding, recurrent layers and a linear decoder, with dropout around the recurrent layers.

    Tokens ``[B, T]`` int64 and a state ``[B, M]`` to logits ``[B, T, V]`` of what follows, and the next state.
    """

    def __init__(self, embedding: nn.Embedding, config: LanguageConfig) -> None:
        super().__init__()
        self.embedding = embedding
        self.recurrent = RecurrentBackbone(embedding.embedding_dim, config.hidden, "lstm", config.layers)
        self.decoder = nn.Linear(config.hidden, embedding.num_embeddings)
        self.dropout = Dropout(config.dropout, shared=1)

    def forward(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        outputs, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.decoder(self.dropout(outputs)), state

    def stacked(
        self, child: Callable[..., Any], named: dict[str, Tensor], tokens: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks, with inputs ``[S, B, ...]``."""
        outputs, state = child("recurrent", child("dropout", child("embedding", tokens)), state)
        logits = child("decoder", child("dropout", outputs).flatten(1, 2))
        return logits.unflatten(1, tokens.shape[1:]), state


class Window(NamedTuple):
    """A stretch of B streams: what is read and what follows ``[S, B, T]``, and whether streams begin ``[S, B]``."""

    inputs: Tensor
    targets: Tensor
    begins: Tensor


def streams(text: Tensor, batch_size: int, steps: int, seeds: Sequence[int]) -> Batches[Window]:
    """Read a text ``[N]`` at ``batch_size`` places at once, one window after the other; an epoch reads all of it.

    The places shift from epoch to epoch, for each seed on its own, so that windows begin elsewhere.

    Raises:
        ValueError: the text is too short for one window.
    """
    length = len(text) // batch_size  # of a stream
    an_epoch = length // steps
    if an_epoch == 0:
        raise ValueError(
            f"--batch-size {batch_size} streams of --steps {steps} are more than the {len(text):,} tokens there are"
        )
    numbers = torch.tensor(seeds, dtype=torch.int64, device=text.device)
    places = length * torch.arange(batch_size, device=text.device).unsqueeze(1) + torch.arange(
        steps + 1, device=text.device
    )

    def batch(number: int) -> Window:
        epoch, window = divmod(number, an_epoch)
        shift = random.integers(random.key(numbers, _OFFSET_STREAM, epoch), len(text))
        read = text[(shift.view(-1, 1, 1) + window * steps + places) % len(text)]
        begins = torch.full(read.shape[:2], window == 0, device=text.device)
        return Window(read[..., :-1], read[..., 1:], begins)

    return Batches(batch, an_epoch, alone="each window goes on where the one before ended")


def make_learner(
    embedding: Callable[[], nn.Embedding],
    config: LanguageConfig,
    total_updates: int,
    seeds: range,
    device: torch.device,
) -> Learner[Window]:
    """A population of language models that carry their state from window to window."""
    layers = RecurrentBackbone(1, config.hidden, "lstm", config.layers)
    memory = torch.zeros(len(seeds), config.batch_size, layers.state_size, device=device)
    return Learner(
        lambda: LanguageModel(embedding(), config), next_token, config, total_updates, seeds, device, {"memory": memory}
    )


def next_token(network: Forward, batch: Window, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    """Nats a token; the state is zero where streams begin, and else the one after the window before."""
    logits, memory = network(batch.inputs, state["memory"] * ~batch.begins.unsqueeze(-1))
    return _losses(logits, batch.targets).flatten(1).mean(dim=1), {}, {"memory": memory}


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view(targets.shape)


def nats(learner: Learner[Any], text: Tensor) -> np.ndarray:
    """Nats a token of each seed ``[S]`` over a text ``[N]``, whose first token is only read.

    The text is read in lanes at once. Each starts some way before its own part, so that it has a state when it counts.
    """
    seeds, predicted, device = len(learner.seeds), len(text) - 1, learner.seeds.device
    lanes = min(max(predicted // _BEFORE, 1), _LANES)
    own = -(-predicted // lanes)
    places = own * torch.arange(lanes).unsqueeze(1) + torch.arange(-_BEFORE, own + 1)
    read = text[places.clamp(0, predicted)].to(device).expand(seeds, -1, -1)
    counted = (places <= predicted).to(device)
    memory = no_memory(learner, lanes)
    total = torch.zeros(seeds, dtype=torch.float64, device=device)
    for first in range(0, _BEFORE + own, _STEPS):
        window = slice(first, min(first + _STEPS, _BEFORE + own))
        follows = slice(window.start + 1, window.stop + 1)
        if first == _BEFORE:
            memory[:, 0] = 0.0  # nothing comes before the first lane
        logits, memory = learner(read[..., window], memory)
        if first >= _BEFORE:
            total += (_losses(logits, read[..., follows]) * counted[:, follows]).sum(dim=(1, 2), dtype=torch.float64)
    return (total / predicted).cpu().numpy()


def no_memory(learner: Learner[Any], batch_size: int) -> Tensor:
    """The state in which a text begins."""
    memory = learner.state["memory"]
    return memory.new_zeros(len(memory), batch_size, memory.shape[-1])


def cells(learner: Learner[Any], text: Tensor, layers: int) -> Tensor:
    """The memory cells ``[B, T, cells]`` of the first network, an LSTM, after each token of texts ``[B, T]``."""
    memory = no_memory(learner, len(text))
    found = []
    for token in text.to(memory.device).expand(len(memory), -1, -1).split(1, dim=-1):
        _, memory = learner(token, memory)
        found.append(memory[0].unflatten(-1, (layers, 2, -1))[:, :, 1].flatten(1).tanh())
    return torch.stack(found, dim=1).cpu()


def counted(train: Tensor, test: Tensor, vocabulary: int) -> dict[str, float]:
    """Nats a token of a test text by the counts of single tokens and of pairs in a training text, one added to each."""
    ones = torch.bincount(train, minlength=vocabulary).double()
    unigram = ((ones + 1) / (ones.sum() + vocabulary)).log()[test[1:]]
    pairs, counts = (train[:-1] * vocabulary + train[1:]).unique(return_counts=True)  # sorted
    wanted = test[:-1] * vocabulary + test[1:]
    place = torch.searchsorted(pairs, wanted).clamp(max=len(pairs) - 1)
    seen = torch.where(pairs[place] == wanted, counts[place], 0).double()
    before = torch.bincount(train[:-1], minlength=vocabulary).double()
    bigram = ((seen + 1) / (before[test[:-1]] + vocabulary)).log()
    return {"unigram": -float(unigram.mean()), "bigram": -float(bigram.mean())}


@torch.no_grad()
def generate(learner: Learner[Any], prompt: Sequence[int], count: int, temperature: float, seed: int) -> list[int]:
    """Tokens that the first network writes after a prompt of at least one.

    Args:
        temperature: by which logits are divided; at zero the likeliest token is taken.
        seed: of the random choices.
    """
    draws = random.uniform(random.key(torch.tensor(seed), _SAMPLE_STREAM), count)
    memory = no_memory(learner, 1)
    read = torch.tensor(prompt, device=memory.device)
    written = []
    for draw in draws:
        logits, memory = learner(read.expand(len(memory), 1, -1), memory)
        last = logits[0, 0, -1].cpu()
        if temperature == 0.0:
            chosen = last.argmax()
        else:
            shares = (last.double() / temperature).softmax(dim=0).cumsum(dim=0)
            chosen = torch.searchsorted(shares, draw.double() * shares[-1], right=True).clamp(max=len(shares) - 1)
        written.append(int(chosen))
        read = chosen.view(1).to(memory.device)
    return written
