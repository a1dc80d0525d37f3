"""Attention: where in a sequence to look, as weights that sum to 1, and the mean of what is there under them."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

Score = Literal["dot", "general", "additive"]


class Attention(nn.Module):
    """Attention over a sequence (Bahdanau et al., 2015; Luong et al., 2015).

    Args:
        score: how well a query ``q`` and a key ``k`` fit: ``q.k`` (dot), ``q.Wk`` (general) or
            ``v.tanh(Wq + Uk)`` (additive).
        queries: size of a query.
        keys: size of a key; for a dot product that of a query.
        hidden: size of ``v``; by default that of a query.
    """

    def __init__(self, score: Score, queries: int, keys: int, hidden: int | None = None) -> None:
        super().__init__()
        if score == "dot" and queries != keys:
            raise ValueError(f"a dot product needs queries and keys of one size, not {queries} and {keys}")
        self.score = score
        hidden = queries if hidden is None else hidden
        shapes: dict[Score, dict[str, tuple[int, ...]]] = {
            "dot": {},
            "general": {"query": (keys, queries)},
            "additive": {"query": (hidden, queries), "key": (hidden, keys), "vector": (hidden,)},
        }
        for name, shape in shapes[score].items():
            bound = shape[-1] ** -0.5
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def forward(self, queries: Tensor, keys: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts ``[B, T, K]`` and weights ``[B, T, L]`` of queries ``[B, T, Q]`` over keys ``[B, L, K]``.

        Where ``allowed`` ``[B, L]`` is false the weights are zero; where it is so everywhere, the context is zero too.
        """
        named = {name: parameter.unsqueeze(0) for name, parameter in self.named_parameters()}
        contexts, weights = self.stacked(None, named, queries.unsqueeze(0), keys.unsqueeze(0), allowed.unsqueeze(0))
        return contexts.squeeze(0), weights.squeeze(0)

    def stacked(
        self, child: Callable[..., Any] | None, named: dict[str, Tensor], queries: Tensor, keys: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same for S networks with parameters ``[S, ...]``, all inputs ``[S, B, ...]``."""
        allowed = allowed.unsqueeze(2)
        scores = self._scores(named, queries, keys).masked_fill(~allowed, torch.finfo(queries.dtype).min)
        weights = scores.softmax(dim=-1) * allowed
        return weights @ keys, weights

    def _scores(self, named: dict[str, Tensor], queries: Tensor, keys: Tensor) -> Tensor:
        """Scores ``[S, B, T, L]`` of queries ``[S, B, T, Q]`` with keys ``[S, B, L, K]``."""
        if self.score == "dot":
            return queries @ keys.mT
        if self.score == "general":
            return _product(queries, named["query"]) @ keys.mT
        both = _product(queries, named["query"]).unsqueeze(3) + _product(keys, named["key"]).unsqueeze(2)
        # A product with one column would round differently for one seed than for several.
        return (both.tanh() * named["vector"][:, None, None, None]).sum(dim=-1)


def _product(x: Tensor, weight: Tensor) -> Tensor:
    """``[S, B, T, F]`` times weights ``[S, G, F]`` of each seed."""
    return torch.bmm(x.flatten(1, 2), weight.mT).unflatten(1, x.shape[1:3])
