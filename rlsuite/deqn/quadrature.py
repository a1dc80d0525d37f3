"""Expectations as finite sums: Gauss-Hermite, monomial rules, and exact sums over the states of a Markov chain."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from rlsuite import random


class Quadrature(NamedTuple):
    """``E f(shock)`` is about ``sum_q weights[q] f(nodes[q])``; float64."""

    nodes: Tensor  # [Q, K], K shocks
    weights: Tensor  # [Q], or [Q, ...] where the chances depend on the states [..., D]


def gauss_hermite(order: int, shocks: int = 1) -> Quadrature:
    """The product rule of ``order`` nodes a shock for independent standard normals; exact to degree 2 order - 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    weights = weights / weights.sum()
    grid = np.stack(np.meshgrid(*[nodes] * shocks, indexing="ij"), axis=-1).reshape(-1, shocks)
    product = np.stack(np.meshgrid(*[weights] * shocks, indexing="ij"), axis=-1).prod(axis=-1).reshape(-1)
    return Quadrature(torch.from_numpy(grid), torch.from_numpy(product))


def monomial_3(shocks: int, *, rotated: bool = False) -> Quadrature:
    """Two nodes a shock, exact to degree 3 for standard normals (Stroud, 1971; Judd, Maliar and Maliar, 2011).

    The nodes lie on the axes, ``sqrt(shocks)`` standard deviations out: many shocks, and constraints bind there that
    hardly ever do. ``rotated`` turns them by a fixed random rotation, after which fourth moments are about
    ``3 shocks / (shocks + 2)`` in every direction, where 3 is exact, instead of ``shocks`` along the axes.
    """
    axes = np.sqrt(shocks) * np.eye(shocks)
    if rotated:
        # Rounded: LAPACK's last digit depends on where its operands lie in memory.
        axes = axes @ np.linalg.qr(np.random.default_rng(0).standard_normal((shocks, shocks)))[0].round(12)
    weights = np.full(2 * shocks, 1 / (2 * shocks))
    return Quadrature(torch.from_numpy(np.concatenate([axes, -axes])), torch.from_numpy(weights))


def monomial_5(shocks: int) -> Quadrature:
    """``2 K^2 + 1`` nodes, exact to degree 5 for standard normals (Stroud, 1971, E_n^(r^2) 5-2)."""
    unit = np.eye(shocks)
    axes = np.sqrt(shocks + 2) * np.concatenate([unit, -unit])
    pairs = [
        np.sqrt((shocks + 2) / 2) * (sign_i * unit[i] + sign_j * unit[j])
        for i in range(shocks)
        for j in range(i)
        for sign_i in (1, -1)
        for sign_j in (1, -1)
    ]
    nodes = np.concatenate([np.zeros((1, shocks)), axes, np.reshape(pairs, (-1, shocks))])
    weights = np.full(len(nodes), 1 / (shocks + 2) ** 2)
    weights[0] = 2 / (shocks + 2)
    weights[1 : 1 + 2 * shocks] = (4 - shocks) / (2 * (shocks + 2) ** 2)
    return Quadrature(torch.from_numpy(nodes), torch.from_numpy(weights))


class Shocks(Protocol):
    """Exogenous shocks of an economy: drawn in simulations, summed over in expectations."""

    def quadrature(self, state: Tensor, *, fine: bool) -> Quadrature:
        """The rule for expectations given states ``[..., D]``; ``fine`` for certificates, coarse for training."""
        ...

    def draw(self, state: Tensor, key: Tensor) -> Tensor:
        """Shocks ``[..., K]`` for states ``[*key.shape, ..., D]``; ``key`` as of ``rlsuite.random``."""
        ...

    def silent(self, state: Tensor) -> Tensor:
        """The shock ``[K]`` of an economy to which nothing happens."""
        ...

    def struck(self, drawn: Tensor, which: int, size: float) -> Tensor:
        """Shocks ``[..., K]`` as drawn, but for the one whose effects are asked for."""
        ...


class Gaussian:
    """Independent standard normals, with the rules to integrate them in training and in certificates."""

    def __init__(self, training: Quadrature, certificate: Quadrature) -> None:
        self.training, self.certificate = training, certificate
        self.count = training.nodes.shape[1]

    def quadrature(self, state: Tensor, *, fine: bool) -> Quadrature:
        rule = self.certificate if fine else self.training
        return Quadrature(rule.nodes.to(state), rule.weights.to(state))

    def draw(self, state: Tensor, key: Tensor) -> Tensor:
        return random.normal(key, *state.shape[key.ndim : -1], self.count).to(state)

    def silent(self, state: Tensor) -> Tensor:
        return state.new_zeros(self.count)

    def struck(self, drawn: Tensor, which: int, size: float) -> Tensor:
        """The shock ``which`` larger by ``size`` standard deviations."""
        return drawn + size * torch.eye(self.count).to(drawn)[which]


class Chain:
    """A Markov chain of Z regimes. The shock is tomorrow's regime as a row of zeros and a one.

    The first Z columns of the state are today's regime in the same form, so that parameters of the regimes are products
    with it and no index is ever taken (which ``vmap`` would refuse).

    Args:
        matrix: ``[Z, Z]``, row i the chances of tomorrow's regimes from regime i.

    Raises:
        ValueError: a row is not a distribution.
    """

    def __init__(self, matrix: Sequence[Sequence[float]]) -> None:
        self.matrix = torch.tensor(matrix, dtype=torch.float64)
        if (self.matrix < 0).any() or not torch.allclose(self.matrix.sum(dim=1), torch.ones(()).double(), atol=1e-12):
            raise ValueError("each row of a transition matrix must be non-negative and sum to 1")
        self.regimes = len(self.matrix)

    def _chances(self, state: Tensor) -> Tensor:
        return state[..., : self.regimes] @ self.matrix.to(state)

    def quadrature(self, state: Tensor, *, fine: bool) -> Quadrature:
        return Quadrature(torch.eye(self.regimes).to(state), self._chances(state).movedim(-1, 0))

    def draw(self, state: Tensor, key: Tensor) -> Tensor:
        uniform = random.uniform(key, *state.shape[key.ndim : -1]).to(state)
        passed = (uniform.unsqueeze(-1) >= self._chances(state).cumsum(dim=-1)[..., :-1]).sum(dim=-1)
        return torch.nn.functional.one_hot(passed, self.regimes).to(state)

    def silent(self, state: Tensor) -> Tensor:
        return self.stationary().to(state)

    def struck(self, drawn: Tensor, which: int, size: float) -> Tensor:
        """Tomorrow's regime is ``which``."""
        return torch.eye(self.regimes).to(drawn)[which].expand_as(drawn)

    def stationary(self) -> Tensor:
        """The long-run distribution ``[Z]``."""
        equations = torch.cat([self.matrix.T - torch.eye(self.regimes), torch.ones(1, self.regimes)]).double()
        target = torch.cat([torch.zeros(self.regimes), torch.ones(1)]).double()
        # LAPACK's last digit depends on where its operands lie in memory; a resumed run must find the same numbers.
        return torch.linalg.lstsq(equations, target.unsqueeze(1)).solution.squeeze(1).round(decimals=14)
