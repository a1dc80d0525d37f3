"""Target rules: which return the next state is expected to give, out of those of its actions.

Shapes: S seeds, B transitions of each, A actions, N values of each action's return.
"""

from torch import Tensor

from rlsuite.networks.returns.model import Returns


def of_best(returns: Returns, preference: Tensor) -> Returns:
    """The returns ``[S, B, N]`` of the action that is preferred most, out of ``[S, B, A, N]``.

    With the means of the same returns as preferences ``[S, B, A]`` this is the target of Q-learning (Watkins, 1989),
    with those of the online network that of double Q-learning (van Hasselt et al., 2016).
    """
    best = preference.argmax(dim=-1)
    return Returns(of_action(returns.value, best), of_action(returns.probability, best))


def of_action(outputs: Tensor, action: Tensor) -> Tensor:
    """The ``[S, B, N]`` of ``[S, B, A, N]`` that belong to actions ``[S, B]``."""
    index = action.unsqueeze(-1).unsqueeze(-1).expand(*action.shape, 1, outputs.shape[-1])
    return outputs.gather(-2, index).squeeze(-2)


def soft_log_policy(values: Tensor, temperature: float) -> Tensor:
    """``temperature`` times log pi ``[S, B, A]`` of the policy that is the softmax of Q / temperature."""
    return temperature * (values / temperature).log_softmax(dim=-1)


def of_soft_policy(returns: Returns, scaled_log_policy: Tensor, temperature: float) -> Returns:
    """The returns ``[S, B, A N]`` of an action drawn from the policy, with its entropy (Vieillard et al., 2020).

    Its mean is the sum over actions of pi (Q - temperature log pi). The paper's M-IQN averages the quantiles over
    actions; this is the mixture, which is the law of the return of a drawn action.
    """
    policy = (scaled_log_policy / temperature).exp()
    value = returns.value - scaled_log_policy.unsqueeze(-1)
    probability = returns.probability * policy.unsqueeze(-1)
    return Returns(value.flatten(-2), probability.flatten(-2))


def munchausen_bonus(scaled_log_policy: Tensor, action: Tensor, weight: float, lowest: float) -> Tensor:
    """Bonus added to the rewards ``[S, B]``: ``weight`` times the clipped temperature log pi(a|s) (the same)."""
    taken = scaled_log_policy.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    return weight * taken.clamp(lowest, 0.0)
