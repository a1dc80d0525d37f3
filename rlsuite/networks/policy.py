"""Stochastic policies over any action space: network outputs to actions and probabilities.

Shapes: leading axes ``...``, O network outputs. A *sample* is what a policy draws; ``action`` turns it into the
environment's units. They differ only for ``Box``, whose samples are Gaussian before they are squashed into the bounds.
"""

import math
from typing import Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from torch import Tensor, nn

from rlsuite import random
from rlsuite.agent import TensorSpec
from rlsuite.networks import distributions
from rlsuite.networks.distributions import GaussianHead
from rlsuite.notice import warn_once


class Policy(Protocol):
    """A distribution over actions with parameters that are a network's outputs."""

    extras: dict[str, TensorSpec]
    """Tensors to store beside an action, by which the density of the sample can be computed again."""

    def head(self, features: int) -> nn.Module:
        """The layer from features ``[B, F]`` to outputs ``[B, O]``."""
        ...

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        """Samples for outputs ``[S, E, O]`` by random keys ``[S]``."""
        ...

    def mode(self, outputs: Tensor) -> Tensor:
        """The likeliest sample."""
        ...

    def action(self, sample: Tensor) -> Tensor:
        """The action that a sample stands for."""
        ...

    def stored(self, sample: Tensor) -> dict[str, Tensor]:
        """``extras`` of a sample."""
        ...

    def restored(self, action: Tensor, extras: dict[str, Tensor]) -> Tensor:
        """The sample of a stored step."""
        ...

    def log_prob(self, outputs: Tensor, sample: Tensor) -> Tensor:
        """Log-probability ``[...]`` of samples."""
        ...

    def entropy(self, outputs: Tensor) -> Tensor:
        """Entropy ``[...]`` in nats."""
        ...


class Categorical:
    """A softmax over the actions of ``Discrete``; outputs are logits."""

    def __init__(self, actions: int) -> None:
        self.actions = actions
        self.extras: dict[str, TensorSpec] = {}

    def head(self, features: int) -> nn.Module:
        return nn.Linear(features, self.actions)

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        return distributions.categorical_sample(outputs, random.uniform(key, *outputs.shape[1:]))

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(dim=-1)

    def action(self, sample: Tensor) -> Tensor:
        return sample

    def stored(self, sample: Tensor) -> dict[str, Tensor]:
        return {}

    def restored(self, action: Tensor, extras: dict[str, Tensor]) -> Tensor:
        return action

    def log_prob(self, outputs: Tensor, sample: Tensor) -> Tensor:
        return distributions.categorical_log_prob(outputs, sample)

    def entropy(self, outputs: Tensor) -> Tensor:
        return distributions.categorical_entropy(outputs)


class MultiCategorical:
    """Independent softmaxes over the components of ``MultiDiscrete`` or ``MultiBinary``; outputs lie side by side."""

    def __init__(self, choices: list[int], shape: tuple[int, ...]) -> None:
        self.choices, self.shape = choices, shape
        self.extras: dict[str, TensorSpec] = {}

    def head(self, features: int) -> nn.Module:
        return nn.Linear(features, sum(self.choices))

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        uniform = random.uniform(key, *outputs.shape[1:]).split(self.choices, dim=-1)
        parts = zip(outputs.split(self.choices, dim=-1), uniform, strict=True)
        return self._shaped([distributions.categorical_sample(logits, own) for logits, own in parts])

    def mode(self, outputs: Tensor) -> Tensor:
        return self._shaped([logits.argmax(dim=-1) for logits in outputs.split(self.choices, dim=-1)])

    def _shaped(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts, dim=-1).unflatten(-1, self.shape)

    def action(self, sample: Tensor) -> Tensor:
        return sample

    def stored(self, sample: Tensor) -> dict[str, Tensor]:
        return {}

    def restored(self, action: Tensor, extras: dict[str, Tensor]) -> Tensor:
        return action

    def log_prob(self, outputs: Tensor, sample: Tensor) -> Tensor:
        components = sample.flatten(-len(self.shape)).unbind(dim=-1)
        parts = zip(outputs.split(self.choices, dim=-1), components, strict=True)
        return torch.stack([distributions.categorical_log_prob(logits, index) for logits, index in parts]).sum(dim=0)

    def entropy(self, outputs: Tensor) -> Tensor:
        parts = outputs.split(self.choices, dim=-1)
        return torch.stack([distributions.categorical_entropy(logits) for logits in parts]).sum(dim=0)


class Gaussian:
    """A Gaussian for each component of ``Box``, with one deviation in all states.

    Components are squashed by tanh where they are bounded on both sides, and by softplus where they are on one.
    """

    def __init__(self, space: Box, initial_log_std: float, device: torch.device | str) -> None:
        self.shape, self.components = space.shape, math.prod(space.shape)
        self.initial_log_std = initial_log_std
        # Where tanh is flat, the sample cannot be recovered from the action.
        self.extras = {"sample": TensorSpec((self.components,))}
        self.low, self.high = (torch.tensor(bound.reshape(-1), device=device) for bound in (space.low, space.high))
        if not space.is_bounded():
            warn_once(f"some actions are unbounded, and so are those that are tried: {space}")

    def head(self, features: int) -> nn.Module:
        return GaussianHead(features, self.components, self.initial_log_std)

    def sample(self, outputs: Tensor, key: Tensor) -> Tensor:
        return distributions.gaussian_sample(outputs, random.normal(key, outputs.shape[1], self.components))

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.chunk(2, dim=-1)[0]

    def action(self, sample: Tensor) -> Tensor:
        action = distributions.squash(sample, self.low, self.high)
        return action.reshape(*sample.shape[:-1], *self.shape)

    def stored(self, sample: Tensor) -> dict[str, Tensor]:
        return {"sample": sample}

    def restored(self, action: Tensor, extras: dict[str, Tensor]) -> Tensor:
        return extras["sample"]

    def log_prob(self, outputs: Tensor, sample: Tensor) -> Tensor:
        return distributions.gaussian_log_prob(outputs, sample)

    def entropy(self, outputs: Tensor) -> Tensor:
        return distributions.gaussian_entropy(outputs)


def policy_for(agent: str, space: Space, initial_log_std: float, device: torch.device | str = "cpu") -> Policy:
    """The policy for an action space.

    Raises:
        ValueError: there is none; the message names the ``agent``.
    """
    if isinstance(space, Discrete):
        return Categorical(int(space.n))
    if isinstance(space, MultiDiscrete):
        return MultiCategorical([int(n) for n in np.ravel(space.nvec)], space.nvec.shape)
    if isinstance(space, MultiBinary):
        return MultiCategorical([2] * math.prod(space.shape), space.shape)
    if isinstance(space, Box):
        return Gaussian(space, initial_log_std, device)
    raise ValueError(
        f"{agent} needs a Discrete, MultiDiscrete, MultiBinary or Box action space, but this one is {space}"
    )
