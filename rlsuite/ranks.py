"""Ranks: processes of ``torchrun`` that train one learner, each on experience of its own.

All hold the same parameters: gradients are averaged over the ranks before each step, and everything else that decides
a step is the same on all. Without ``torchrun`` there is one rank, and nothing here does anything.
"""

import datetime
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch.distributed
from torch import Tensor

_LONGEST_WAIT = datetime.timedelta(days=1)  # for rank 0 to evaluate; a rank that is gone is noticed at once
_SEEDS_OF_A_RANK = 2**40  # no run has so many seeds
_is_joined = False
T = TypeVar("T")


def size() -> int:
    """The number of ranks."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """The number of this process: rank 0 logs, evaluates and saves."""
    return int(os.environ["RANK"]) if size() > 1 else 0


def restarts() -> int:
    """The number of times that ``torchrun`` has started all ranks again, after one was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) if size() > 1 else 0


def own_seed(seed: int) -> int:
    """The seed from which this rank draws in place of a run's, so that no two ranks draw the same."""
    return seed + rank() * _SEEDS_OF_A_RANK


@contextmanager
def joined() -> Iterator[None]:
    """Connect the ranks while entered. Rank 0 alone warns: most of what there is to say holds for all."""
    global _is_joined
    if size() == 1 or _is_joined:
        yield
        return
    torch.distributed.init_process_group("gloo", store=_store(), rank=rank(), world_size=size(), timeout=_LONGEST_WAIT)
    _is_joined = True
    if rank():
        logging.getLogger("rlsuite").setLevel(logging.ERROR)
    try:
        yield
    finally:
        leave()


def leave() -> None:
    """Let the other ranks go: what is left to do is this one's alone."""
    global _is_joined
    if _is_joined:
        _is_joined = False
        torch.distributed.destroy_process_group()


def _store() -> torch.distributed.Store:
    """The store in which ranks find each other's addresses.

    ``torchrun`` keeps one store for all its restarts. Ranks that are started again would find addresses of ranks that
    are gone, and wait for them: each start has a part of the store to itself. Several hosts may count their restarts
    differently, and need a new store each time (TORCH_DISABLE_SHARE_RDZV_TCP_STORE).
    """
    found, _, _ = next(torch.distributed.rendezvous("env://", timeout=_LONGEST_WAIT))
    is_one_host = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    return torch.distributed.PrefixStore(f"start-{restarts() if is_one_host else 'of-several-hosts'}", found)


def averaged(values: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, the same bits on all.

    Raises:
        ConnectionError: another rank is gone.
    """
    if not _is_joined:
        return values
    values = values.clone()
    with _explained():
        torch.distributed.all_reduce(values)
    return values / size()


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their means over the ranks; integers are left alone, which count the same on all."""
    changed = [tensor for tensor in tensors if tensor.is_floating_point()]
    if _is_joined and changed:
        means = averaged(torch.cat([tensor.flatten() for tensor in changed]))
        for tensor, mean in zip(changed, means.split([tensor.numel() for tensor in changed]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def built(build: Callable[[], T]) -> T:
    """The result of ``build``, on rank 0 before the others: it downloads what is missing, and says what is wrong."""
    if not _is_joined:
        return build()
    if rank():
        if not from_first():
            sys.exit(0)  # torchrun stops all where one ends otherwise: it is rank 0 that has something to say
        return build()
    is_built = False
    try:
        found = build()
        is_built = True
    finally:
        from_first(is_built)
    return found


def from_first(value: Any = None) -> Any:
    """The value that rank 0 passes, on all ranks."""
    if not _is_joined:
        return value
    box = [value]
    with _explained():
        torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def to_first(value: Any) -> list[Any]:
    """The values that all ranks pass, in their order, on rank 0; nothing on the others."""
    found = [None] * size() if rank() == 0 else None
    with _explained():
        torch.distributed.gather_object(value, found, dst=0)
    return found or []


def to_each(values: Sequence[Any] = ()) -> Any:
    """The value that rank 0 has for this rank."""
    box = [None]
    with _explained():
        torch.distributed.scatter_object_list(box, list(values) if rank() == 0 else None, src=0)
    return box[0]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[0][:100]
        raise ConnectionError(f"another rank is gone, and the last checkpoint is whole ({reason})") from error
