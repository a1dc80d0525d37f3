"""On-policy experience: the last T vector steps, and the returns that followed each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlsuite import random
from rlsuite.agent import TensorSpec
from rlsuite.experience import Batch, Step
from rlsuite.networks.population import Population
from rlsuite.state import restore


@dataclass(frozen=True)
class RolloutBatch:
    """T vector steps in order, axes ``[S, T, E, ...]``; the fields are those of ``Step``.

    ``began`` says where ``observation`` is the first of its episode, and ``extras`` holds by name what the agent's
    acting declared.
    """

    observation: Tensor  # acted on
    action: Tensor
    reward: Tensor  # float32
    next_observation: Tensor
    ended: Tensor  # bool
    bootstrap: Tensor  # bool
    valid: Tensor  # bool
    began: Tensor  # bool
    extras: dict[str, Tensor] = field(default_factory=dict)


_FIELDS = ("observation", "action", "reward", "next_observation", "ended", "bootstrap", "valid", "began")


class Rollout:
    """Collects T vector steps; the step after the T-th begins the next rollout in the same memory.

    Args:
        length: T.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
        extras: of one environment, by name: what else the agent stores of each step.
        device: where the steps live.

    Raises:
        ValueError: ``length``, ``seeds`` or ``num_envs`` is not positive.
    """

    def __init__(
        self,
        length: int,
        *,
        seeds: int,
        num_envs: int,
        observation_shape: Sequence[int],
        observation_dtype: torch.dtype = torch.float32,
        action_shape: Sequence[int] = (),
        action_dtype: torch.dtype = torch.int64,
        extras: Mapping[str, TensorSpec] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if min(length, seeds, num_envs) < 1:
            raise ValueError(f"length, seeds and num_envs must be positive, not {length}, {seeds} and {num_envs}")
        self.length = length

        def table(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
            return torch.zeros(seeds, length, num_envs, *shape, dtype=dtype, device=device)

        self._steps = RolloutBatch(
            observation=table(observation_shape, observation_dtype),
            action=table(action_shape, action_dtype),
            reward=table((), torch.float32),
            next_observation=table(observation_shape, observation_dtype),
            ended=table((), torch.bool),
            bootstrap=table((), torch.bool),
            valid=table((), torch.bool),
            began=table((), torch.bool),
            extras={name: table(shape, dtype) for name, (shape, dtype) in (extras or {}).items()},
        )
        self._began = torch.ones(seeds, num_envs, dtype=torch.bool, device=device)  # the observation to act on
        self._added = torch.zeros(1, dtype=torch.int64, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes that the steps of all seeds take."""
        tables = [*(getattr(self._steps, name) for name in _FIELDS), *self._steps.extras.values()]
        return sum(table.nbytes for table in tables)

    def add(self, observation: Tensor, action: Tensor, step: Step, extras: Mapping[str, Tensor] | None = None) -> None:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        values = (
            observation,
            action,
            step.reward,
            step.next_observation,
            step.ended,
            step.bootstrap,
            step.valid,
            self._began,
        )
        slot = self._added % self.length
        for name, value in zip(_FIELDS, values, strict=True):
            getattr(self._steps, name).index_copy_(1, slot, value.unsqueeze(1))
        for name, table in self._steps.extras.items():
            table.index_copy_(1, slot, (extras or {})[name].unsqueeze(1))
        self._began.copy_(step.began)
        self._added.add_(1)

    @property
    def full(self) -> Tensor:
        """True (bool on the device, no axes) from the T-th step until the next."""
        return ((self._added > 0) & (self._added % self.length == 0)).squeeze(0)

    def sample(self, key: Tensor) -> RolloutBatch:
        """The steps of a full rollout, all and in order: they share memory with it until the next ``add``."""
        return self._steps

    def feedback(self, batch: Batch, priority: Tensor) -> None:
        """Steps that are learned from once have no priorities."""

    def cut(self) -> None:
        """The environments start new episodes."""
        self._began.fill_(True)

    def state_dict(self) -> dict[str, Any]:
        """Between two rollouts nothing is kept but where episodes began."""
        return {"began": self._began}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self.state_dict(), state, "rollout")


def windows(values: Tensor, length: int) -> Tensor:
    """Steps ``[S, T, E, ...]`` as windows ``[S, N, L, ...]`` of L steps of an environment; there are N = E T / L."""
    return values.unflatten(1, (-1, length)).transpose(2, 3).flatten(1, 2)


def minibatches(windows: dict[str, Tensor], key: Tensor, parts: int) -> Iterator[list[Tensor]]:
    """Tensors ``[S, N, ...]`` in so many parts ``[S, N / parts, ...]``, shuffled for each seed apart by key ``[S]``."""
    tensors = list(windows.values())
    order = random.uniform(key, tensors[0].shape[1]).argsort(dim=1)
    # Rows of all seeds in one axis: selecting there is many times quicker than indexing two.
    order += torch.arange(len(order), device=order.device).unsqueeze(1) * order.shape[1]
    rows = [tensor.flatten(0, 1) for tensor in tensors]
    for chosen in order.chunk(parts, dim=1):
        yield [tensor.index_select(0, chosen.flatten()).unflatten(0, chosen.shape) for tensor in rows]


@torch.no_grad()
def next_outputs(network: Population, batch: RolloutBatch, memory_name: str = "memory") -> Tensor:
    """Outputs ``[S, T, E, O]`` of networks with a memory, or none, for the next observations, after those acted on.

    ``memory_name`` is that of the memories before each step in the batch's extras.
    """

    def single(steps: Tensor) -> Tensor:
        return steps.flatten(1, 2).unsqueeze(2)  # windows of one step

    memory = batch.extras.get(memory_name)
    if memory is not None:
        _, memory = network(single(batch.observation), memory.flatten(1, 2), single(batch.began))
    outputs, _ = network(single(batch.next_observation), memory, single(torch.zeros_like(batch.began)))
    return outputs.view(*batch.reward.shape, -1)


def reward_to_go(batch: RolloutBatch, discount: Tensor, next_value: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Discounted rewards from each step to the end of its episode, and the weight with which each step counts.

    An episode that was cut, by truncation or by the end of the rollout, goes on with the value of its last
    observation where ``next_value`` is given. Where it is not, the return of its steps is unknown and they are
    kept out: their weight is 0. Phantom steps always weigh 0.

    Args:
        discount: g of each seed, ``[S]``.
        next_value: of ``batch.next_observation``, ``[S, T, E]``.

    Returns:
        Returns and weights (0 or 1), both float32 ``[S, T, E]``; returns that weigh 0 mean nothing.
    """
    discount = discount.view(-1, 1, 1)
    last = torch.zeros_like(batch.ended)
    last[:, -1] = True
    is_cut = batch.bootstrap & (batch.ended | last)
    goes_on = batch.bootstrap & ~is_cut
    future = 0.0 if next_value is None else torch.where(is_cut, discount * next_value, 0.0)
    returns = _suffix_sums(discount * goes_on, batch.reward + future)
    if next_value is not None:
        return returns, batch.valid.float()
    is_known = _suffix_sums(goes_on.float(), (~batch.bootstrap).float())
    return returns, is_known * batch.valid


def advantages(batch: RolloutBatch, value: Tensor, next_value: Tensor, discount: Tensor, trace: float) -> Tensor:
    """Generalised advantage estimates (Schulman et al., 2016), ``[S, T, E]``.

    Sums of the errors delta_t = r_t + g V(s_t+1) - V(s_t) from each step on, each later one weighed by g times
    ``trace`` more. They end with the episode and with the rollout; there a cut episode goes on with the value of its
    last observation. Those of phantom steps mean nothing.

    Args:
        value, next_value: of ``batch.observation`` and ``batch.next_observation``, ``[S, T, E]``.
        discount: g of each seed, ``[S]``.
        trace: lambda, 0 for one-step errors, 1 for the return minus the value.
    """
    discount = discount.view(-1, 1, 1)
    error = batch.reward + discount * batch.bootstrap * next_value - value
    # A lost life that stops the bootstrap ends the sum as an episode's end does.
    return _suffix_sums(discount * trace * (batch.bootstrap & ~batch.ended), error)


def lambda_returns(batch: RolloutBatch, next_value: Tensor, discount: Tensor, trace: float) -> Tensor:
    """G_t = r_t + g ((1 - trace) V(s_t+1) + trace G_t+1), ``[S, T, E]``; with V alone where the next step is unknown.

    That is where the episode ends, or the rollout. Those of phantom steps mean nothing.

    Args:
        next_value: V of ``batch.next_observation``, ``[S, T, E]``.
        discount: g of each seed, ``[S]``.
        trace: lambda, 0 for one-step returns, 1 for the whole rollout's.
    """
    discount = discount.view(-1, 1, 1)
    goes_on = batch.bootstrap & ~batch.ended
    goes_on[:, -1] = False
    kept = trace * goes_on
    return _suffix_sums(discount * kept, batch.reward + discount * batch.bootstrap * (1.0 - kept) * next_value)


def _suffix_sums(factor: Tensor, term: Tensor) -> Tensor:
    """x of the recursion x_t = term_t + factor_t x_(t+1) along axis 1, with nothing after the last.

    Composes the affine maps of t and t + 1, then of pairs, and so on: log2(T) operations instead of T (Hillis and
    Steele, 1986).
    """
    span = 1
    while span < term.shape[1]:
        near, far = slice(None, -span), slice(span, None)
        term = torch.cat([term[:, near] + factor[:, near] * term[:, far], term[:, -span:]], dim=1)
        factor = torch.cat([factor[:, near] * factor[:, far], factor[:, -span:]], dim=1)
        span *= 2
    return term


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Per-seed mean ``[S]`` of ``values`` ``[S, N]`` over the steps that count; 0 where none does."""
    return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
