"""Categorical distributions over fixed returns: C51 (Bellemare et al., 2017)."""

import torch
from torch import Tensor

from rlsuite.networks.returns.model import ReturnModel, Returns


class C51(ReturnModel):
    """Probabilities of ``atoms`` returns at equal distances from ``low`` to ``high``; 51 of them in the paper.

    Raises:
        ValueError: there are fewer than two atoms, or the bounds are in the wrong order.
    """

    def __init__(self, atoms: int, low: float, high: float, device: torch.device | str = "cpu") -> None:
        if atoms < 2:
            raise ValueError(f"a support needs at least 2 atoms, not {atoms}")
        if low >= high:
            raise ValueError(f"a support goes from low to high, not from {low:g} to {high:g}")
        self.outputs = atoms
        self.support = torch.linspace(low, high, atoms, device=device)

    def start(self) -> Tensor:
        """Probability near a return of 0, falling by e from one atom to the next.

        A uniform start has the mean and the spread of the support, which fade by the discount from one target network
        to the next: for long, a death that ends them weighs far more than any reward.
        """
        support = self.support.cpu()
        nearest = support.abs().argmin()
        return -(torch.arange(len(support)) - nearest).abs().float()

    def returns(self, outputs: Tensor) -> Returns:
        return Returns(self.support.expand_as(outputs), outputs.softmax(dim=-1))

    def loss(self, outputs: Tensor, target: Returns, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-entropy to the projected target; the priority is the divergence from it (KL), as in Rainbow."""
        wanted = project(target, self.support)
        each = -(wanted * outputs.log_softmax(dim=-1)).sum(dim=-1)
        return each, (each + torch.xlogy(wanted, wanted).sum(dim=-1)).clamp(min=0.0)


def project(returns: Returns, support: Tensor) -> Tensor:
    """Probabilities ``[..., N]`` of atoms ``[N]``, at equal distances, of returns with any M values ``[..., M]``.

    A value between two atoms gives each of them a share of its probability, more to the nearer, so that the mean stays
    (the paper's equation 7); one outside goes to the last atom.
    """
    value = returns.value.clamp(support[0], support[-1])
    distance = (value.unsqueeze(-2) - support.unsqueeze(-1)).abs() / (support[1] - support[0])
    return ((1.0 - distance).clamp(min=0.0) * returns.probability.unsqueeze(-2)).sum(dim=-1)
