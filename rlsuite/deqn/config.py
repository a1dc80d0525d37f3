"""How an economy is solved, and values tuned for each model. Free of torch, so that ``--help`` is quick."""

from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """The network and the two phases of training: Adam, then Levenberg-Marquardt."""

    hidden: tuple[int, ...] = (24, 24)
    """Units of each hidden layer of the policy network."""
    activation: Literal["tanh", "silu", "relu", "selu"] = "tanh"
    """Between the layers; smooth ones suit the second phase."""
    tracks: int = 256
    """Paths simulated side by side for each seed; also the batch of the first phase, in states."""
    box_share: float = 0.5
    """Share of a batch drawn from a box around the steady state at first; falls to 0 over half of the first phase."""
    adam_updates: int = 3000
    """Updates of the first phase."""
    adam_learning_rate: float = 2e-3
    """At its start; a cosine brings it down to adam_final_learning_rate."""
    adam_final_learning_rate: float = 1e-5
    """At its end."""
    max_gradient_norm: float = 1.0
    """Longer gradients of a seed are scaled down to this norm in the first phase."""
    polish_updates: int = 60
    """Levenberg-Marquardt steps of the second phase."""
    polish_states: int = 512
    """States each of its steps fits, per seed; times the equations they should outnumber the network's weights."""
    polish_box_share: float = 0.25
    """Share of those states drawn from the box."""
    polish_refresh_updates: int = 15
    """Steps between two draws of those states."""
    damping: float = 1e-3
    """Of the first Levenberg-Marquardt step, relative to the diagonal of its normal equations."""


PRESETS: dict[str, dict[str, Any]] = {}


def preset(model: str) -> SolverConfig:
    """The tuned settings of a model, or the defaults."""
    return replace(SolverConfig(), **PRESETS.get(model, {}))
