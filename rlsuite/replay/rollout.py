"""On-policy experience: the last T vector steps, and the returns that followed each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from rlsuite.experience import Step


@dataclass(frozen=True)
class RolloutBatch:
    """T vector steps in order, axes ``[S, T, E, ...]``; the fields mean what they mean in ``Step``."""

    observation: Tensor  # acted on
    action: Tensor
    reward: Tensor  # float32
    successor: Tensor
    ended: Tensor  # bool
    bootstrap: Tensor  # bool
    valid: Tensor  # bool


# Listed once: torch.compile cannot trace ``dataclasses.fields``.
_FIELDS = tuple(field.name for field in fields(RolloutBatch))


class Rollout:
    """Collects T vector steps; the step after the T-th begins the next rollout in the same memory.

    Args:
        length: T.
        seeds, num_envs: S and E.
        observation_shape, observation_dtype, action_shape, action_dtype: of one environment.
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
            successor=table(observation_shape, observation_dtype),
            ended=table((), torch.bool),
            bootstrap=table((), torch.bool),
            valid=table((), torch.bool),
        )
        self._added = torch.zeros(1, dtype=torch.int64, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes that the steps of all seeds take."""
        return sum(getattr(self._steps, name).nbytes for name in _FIELDS)

    def add(self, observation: Tensor, action: Tensor, step: Step) -> None:
        """Store what came of acting on ``observation`` ``[S, E, ...]`` with ``action`` ``[S, E, ...]``."""
        added = RolloutBatch(observation, action, step.reward, step.successor, step.ended, step.bootstrap, step.valid)
        slot = self._added % self.length
        for name in _FIELDS:
            getattr(self._steps, name).index_copy_(1, slot, getattr(added, name).unsqueeze(1))
        self._added.add_(1)

    @property
    def full(self) -> Tensor:
        """True (bool on the device, no axes) from the T-th step until the next."""
        return ((self._added > 0) & (self._added % self.length == 0)).squeeze(0)

    def batch(self) -> RolloutBatch:
        """The steps of a full rollout; they share memory with it and are overwritten by the next ``add``."""
        return self._steps


def reward_to_go(batch: RolloutBatch, discount: Tensor, successor_value: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Discounted rewards from each step to the end of its episode, and the weight with which each step counts.

    An episode that was cut, by truncation or by the end of the rollout, goes on with the value of its last
    observation where ``successor_value`` is given. Where it is not, the return of its steps is unknown and they are
    kept out: their weight is 0. Phantom steps always weigh 0.

    Args:
        discount: g of each seed, ``[S]``.
        successor_value: of ``batch.successor``, ``[S, T, E]``.

    Returns:
        Returns and weights (0 or 1), both float32 ``[S, T, E]``; returns that weigh 0 mean nothing.
    """
    discount = discount.view(-1, 1, 1)
    last = torch.zeros_like(batch.ended)
    last[:, -1] = True
    is_cut = batch.bootstrap & (batch.ended | last)
    goes_on = batch.bootstrap & ~is_cut
    future = 0.0 if successor_value is None else torch.where(is_cut, discount * successor_value, 0.0)
    returns = _suffix_sums(discount * goes_on, batch.reward + future)
    if successor_value is not None:
        return returns, batch.valid.float()
    is_known = _suffix_sums(goes_on.float(), (~batch.bootstrap).float())
    return returns, is_known * batch.valid


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
