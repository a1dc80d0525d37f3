"""Monte Carlo tree search by a network's policy and values (Silver et al., 2018), in the trees of many games at once.

Each simulation walks down every tree from its root by the moves that now promise most (PUCT), comes to a move that was
not tried in that place, lets the network judge all new positions as one batch, and takes what it says back up.

Shapes: S seeds, E games of each, A actions. Inside, G = S E trees have N nodes each, one more than simulations; node n
of tree g is row g N + n of a table, and the edge of its action a entry (g N + n) A + a.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rlsuite.board import Board, Position

Evaluate = Callable[[Position], tuple[Tensor, Tensor]]
"""Positions ``[S, E, 2]`` to logits ``[S, E, A]`` and values ``[S, E]``, those of the side to move, from -1 to 1."""

_NOT_LEGAL = float("-inf")


class Found(NamedTuple):
    """Results of a search for the positions it was asked of."""

    visits: Tensor  # float32 [S, E, A], how often each move was tried
    value: Tensor  # float32 [S, E], the mean of what came of them


class _Trees(NamedTuple):
    """Trees as tables of nodes; values of edges are those of the side that moves along them."""

    position: Tensor  # int64 [G N, 2]
    prior: Tensor  # float32 [G N, A], minus infinity for moves that are not legal
    visits: Tensor  # float32 [G N, A]
    total: Tensor  # float32 [G N, A], of the values that came back
    best: Tensor  # int64 [G N], the edge to walk along next
    child: Tensor  # int64 [G N A], the row that an edge leads to; -1 where none is there yet, or the game is over


@torch.no_grad()
def search(
    board: Board,
    evaluate: Evaluate,
    position: Position,
    simulations: int,
    exploration: float,
    noise: Tensor | None = None,
    noise_fraction: float = 0.25,
) -> Found:
    """Search from positions ``[S, E, 2]``, none of which is the end of its game.

    Args:
        simulations: positions that are looked at in each tree.
        exploration: weight of the prior beside the values that were found; a move that was not tried counts as a draw.
        noise: ``[S, E, A]``, mixed into the priors of the roots, of which it is the part ``noise_fraction``.
    """
    games, actions, nodes = position[..., 0].numel(), board.actions, simulations + 1
    root = torch.arange(games, device=position.device) * nodes

    def table(*shape: int, fill: float = 0.0, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.full((games * nodes, *shape), fill, dtype=dtype, device=position.device)

    trees = _Trees(
        position=table(2, fill=0, dtype=torch.int64),
        prior=table(actions),
        visits=table(actions),
        total=table(actions),
        best=table(fill=0, dtype=torch.int64),
        child=table(actions, fill=-1, dtype=torch.int64).flatten(),
    )

    def add(node: Tensor, at: Position, logits: Tensor, noise: Tensor | None = None) -> None:
        trees.position[node] = at
        legal = board.legal(at)
        prior = torch.where(legal, logits.flatten(0, -2), _NOT_LEGAL).softmax(dim=-1)
        if noise is not None:
            prior = prior.lerp(noise.flatten(0, -2), noise_fraction)
        trees.prior[node] = torch.where(legal, prior, _NOT_LEGAL)
        _rescore(trees, node, exploration)

    add(root, position.flatten(0, -2), evaluate(position)[0], noise)

    for simulation in range(1, nodes):
        path, on_path = _walk(trees, root)
        edge = path[-1]
        leaf = board.play(trees.position[edge // actions], edge % actions)
        over, outcome = board.outcome(leaf)
        logits, value = evaluate(leaf.view_as(position))
        value = torch.where(over, outcome, value.flatten())
        trees.child[edge] = torch.where(over, -1, root + simulation)
        add(root + simulation, leaf, logits)
        # Seen from either side in turn: the last move was one to a place where the other side is to move.
        distance = on_path.sum(dim=0) - torch.arange(len(path), device=path.device).unsqueeze(1)
        signed = torch.where(distance % 2 == 0, value, -value) * on_path
        trees.visits.view(-1).index_add_(0, path.flatten(), on_path.flatten())
        trees.total.view(-1).index_add_(0, path.flatten(), signed.flatten())
        _rescore(trees, path.flatten() // actions, exploration)

    visits, total = (values[root].view(*position.shape[:-1], actions) for values in (trees.visits, trees.total))
    return Found(visits, total.sum(dim=-1) / simulations)


def _walk(trees: _Trees, root: Tensor) -> tuple[Tensor, Tensor]:
    """The edges from the roots to where trees are to grow ``[depth, G]``, and which are on the path: 1, or else 0.

    Shorter paths end with their last edge again, which then is not on the path.
    """
    edges, on_path = [trees.best[root]], [torch.ones_like(root)]
    while True:
        node = trees.child[edges[-1]]
        goes_on = node >= 0
        if not bool(goes_on.any()):
            return torch.stack(edges), torch.stack(on_path).float()
        edges.append(torch.where(goes_on, trees.best[node.clamp(min=0)], edges[-1]))
        on_path.append(goes_on.long())


def _rescore(trees: _Trees, node: Tensor, exploration: float) -> None:
    """Find anew which edge of nodes promises most, by its mean value, its prior and how seldom it was tried."""
    visits, prior = trees.visits[node], trees.prior[node]
    root_of_all = (1.0 + visits.sum(dim=-1, keepdim=True)).sqrt()
    score = trees.total[node] / visits.clamp(min=1.0) + exploration * prior * root_of_all / (1.0 + visits)
    trees.best[node] = node * visits.shape[-1] + score.argmax(dim=-1)
