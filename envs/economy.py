"""Economies of ``rlsuite.deqn`` as environments: the same states, steps and utility, learned from rewards."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from envs.core import State
from rlsuite import random
from rlsuite.deqn import registry
from rlsuite.deqn.preferences import utility
from rlsuite.deqn.single_agent import SingleAgent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLOUD_STATES = 1_000  # drawn to show where the economy usually is


class Economy:
    """State: the model's ``[N, D]``, float64. Never terminates: the agent lives for ever, and is watched for a while.

    The action is the share that the agent saves, within the model's bounds, which it is clipped to. The reward is
    the utility of what is consumed, measured from usual consumption in its units: ``ln(c / usual)`` where risk aversion
    is 1, and about that elsewhere. The best policy is that of the model's own utility.

    Args:
        calibration: of the model; its first unless given.

    Raises:
        ValueError: no such calibration.
    """

    model_name: ClassVar[str]
    max_episode_steps = 200
    render_fps = 10
    is_random = True

    def __init__(self, calibration: str | None = None) -> None:
        model = registry.build(self.model_name, calibration)
        assert isinstance(model, SingleAgent)
        self.model = model
        low, high = model.saving_bounds
        self.action_space = Box(low, high, (1,), np.float32)
        self.observation_space = Box(-np.inf, np.inf, (model.num_features,), np.float32)
        usual = torch.tensor(model.usual_consumption, dtype=torch.float64)
        self._usual_utility = utility(usual, model.risk_aversion).item()
        self._scale = model.usual_consumption ** (model.risk_aversion - 1)  # 1 / (c u'(c))

    def initial(self, key: Tensor) -> State:
        """Near the steady state."""
        return {"columns": self.model.initial_state(key, 1).squeeze(1)}

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Consume, save, and draw tomorrow's shocks."""
        columns = state["columns"]
        policy = self.model.save(action.squeeze(-1).double().clamp(*self.model.saving_bounds), columns)
        reward = self._scale * (self.model.reward(columns, policy) - self._usual_utility)
        following = self.model.step(columns, policy, self.model.shocks.draw(columns, key))
        return {"columns": following}, reward, torch.zeros_like(reward, dtype=torch.bool)

    def observe(self, state: State) -> Tensor:
        """The features that equilibrium nets see."""
        return self.model.features(state["columns"]).float()

    def render(self, state: State) -> np.ndarray:
        """Plot the present state among states that the economy visits; uint8 ``[height, width, 3]``."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes half a second to import
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 4), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        self._draw(figure.subplots(), state["columns"])
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def _draw(self, axes: "Axes", columns: Tensor) -> None:
        cloud = self.model.initial_state(random.key(torch.tensor(0)), _CLOUD_STATES)
        (x_name, x), (y_name, y) = self.model.aggregates(torch.cat([columns.unsqueeze(0), cloud])).items()
        axes.scatter(x[1:], y[1:], s=2, color="0.85")
        axes.scatter(x[0], y[0], s=60, color="#d55e00")
        axes.set_xlabel(x_name.replace("_", " "))
        axes.set_ylabel(y_name.replace("_", " "))


class BrockMirman(Economy):
    """Optimal growth with log utility and full depreciation: saving 35.64 % of output for ever is best."""

    model_name = "brock-mirman"


class StochasticGrowth(Economy):
    """Optimal growth with partial depreciation; the action is the share of output that is invested."""

    model_name = "growth"


class IrreversibleInvestment(Economy):
    """``StochasticGrowth`` with a floor under investment; lower shares are raised to it."""

    model_name = "irreversible-investment"


class ConsumptionSaving(Economy):
    """A household with risky income that cannot borrow; the action is the share of wealth that it saves."""

    model_name = "consumption-saving"


class KrusellSmith(Economy):
    """One household among many, without or with a job, in good times and bad.

    The action is the share that it saves of twice what it could consume for ever, were its income always average.
    """

    model_name = "krusell-smith-household"
