"""Options of solving an economy."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rlsuite.configuration import Count, Fraction, Natural, NotNegative, Positive, Seed, Widths, check


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """The network and the two phases of training: Adam, then Levenberg-Marquardt."""

    hidden: Widths = (24, 24)
    """Units of each hidden layer of the policy network."""
    activation: Literal["tanh", "silu", "relu", "selu"] = "tanh"
    """Activation function; smooth ones suit the second phase."""
    tracks: Count = 256
    """Paths simulated side by side for each seed; also the batch of the first phase, in states."""
    restart_periods: Natural = 0
    """Periods after which a path starts anew, for economies with parameters as states; 0 for never."""
    box_share: Fraction = 0.5
    """Share of a batch drawn from a box around the steady state at first; falls to 0 over half of the first phase."""
    adam_updates: Natural = 3000
    """Updates of the first phase."""
    adam_learning_rate: Positive = 2e-3
    """Learning rate at the start of the first phase; falls as a cosine to adam_final_learning_rate."""
    adam_final_learning_rate: NotNegative = 1e-5
    """Learning rate at the end of the first phase."""
    max_gradient_norm: Positive = 1.0
    """Longer gradients of a seed are scaled down to this norm in the first phase."""
    polish_updates: Natural = 60
    """Levenberg-Marquardt steps of the second phase."""
    polish_states: Count = 512
    """States each of its steps fits, per seed; times the equations they should outnumber the network's weights."""
    polish_box_share: Fraction = 0.25
    """Share of those states drawn from the box."""
    polish_refresh_updates: Count = 15
    """Steps between two draws of those states."""
    damping: Positive = 1e-3
    """Damping of the first Levenberg-Marquardt step, relative to the diagonal of its normal equations."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class EquilibriumConfig:
    """An economy, and how and where it is solved: the ``config.json`` of a run."""

    model: str
    calibration: str
    seeds: tuple[Seed, ...]
    device: str = "cpu"
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    solver: SolverConfig
    parameters: dict[str, Any] = field(default_factory=dict)
    """All values of the calibration, which count; its name says where they started from."""

    def __post_init__(self) -> None:
        check(self)
