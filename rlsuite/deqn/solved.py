"""A solved economy to work with in Python: its policy, its paths, their moments, and responses to shocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from rlsuite import random
from rlsuite.deqn.model import Model, PolicyFunction
from rlsuite.deqn.run import load_policies
from rlsuite.deqn.simulation import simulate
from rlsuite.training.checkpoint import Name

_BURN_IN_PERIODS = 300


@dataclass(frozen=True)
class Solved:
    """One seed's solution.

    Attributes:
        policy: decisions by name at states ``[B, D]``, whose columns are ``model.state_names``.
    """

    model: Model
    policy: PolicyFunction

    def simulate(self, periods: int, tracks: int = 100, seed: int = 0) -> dict[str, Tensor]:
        """Series ``[periods, tracks]`` by name, after paths have forgotten where they started.

        The aggregates of the model, the columns of its state, and the decisions, numbered where there are several.
        """
        key = random.key(torch.tensor(seed), 1)
        return self._series(simulate(self.model, self.policy, self._settled(tracks, seed), key, periods))

    def moments(self, periods: int = 1000, tracks: int = 100, seed: int = 0) -> dict[str, dict[str, float]]:
        """Mean, standard deviation, autocorrelation, and correlation with the first of the series, by series."""
        series = {name: values.flatten(1) for name, values in self.simulate(periods, tracks, seed).items()}
        first = next(iter(series.values()))
        return {
            name: {
                "mean": values.mean().item(),
                "sd": values.std().item(),
                "autocorrelation": _correlation(values[1:], values[:-1]),
                "correlation": _correlation(values, first),
            }
            for name, values in series.items()
        }

    @torch.no_grad()
    def impulse_responses(
        self, shock: int = 0, size: float = 1.0, periods: int = 40, tracks: int = 2000, seed: int = 0
    ) -> dict[str, Tensor]:
        """Average response to a shock in the first period, ``[periods]`` by series.

        Two worlds start from the same states of the ergodic set and see the same shocks, but for that one: a normal
        shock is larger by ``size`` standard deviations, a chain goes to regime ``shock``.
        """
        start, key = self._settled(tracks, seed), random.key(torch.tensor(seed), 2)
        drawn = self.model.shocks.draw(start, random.key(key, 1))
        decision = self.policy(start)
        worlds = []
        for first in (drawn, self.model.shocks.struck(drawn, shock, size)):
            state = self.model.step(start, decision, first)
            later = simulate(self.model, self.policy, state, random.key(key, 2), periods - 1)
            worlds.append(self._series(torch.cat([state.unsqueeze(0), later])))
        usual, struck = worlds
        return {name: (struck[name] - usual[name]).mean(dim=1) for name in usual}

    def _settled(self, tracks: int, seed: int) -> Tensor:
        key = random.key(torch.tensor(seed), 3)
        start = self.model.initial_state(random.key(key, 1), tracks)
        return simulate(self.model, self.policy, start, random.key(key, 2), _BURN_IN_PERIODS)[-1]

    @torch.no_grad()
    def _series(self, path: Tensor) -> dict[str, Tensor]:
        """Series ``[periods, tracks]`` of states ``[periods, tracks, D]``."""
        state = path.flatten(0, 1)
        columns = dict(zip(self.model.state_names, state.unbind(-1), strict=True))
        series = dict(self.model.aggregates(state)) | columns
        for name, values in self.policy(state).items():
            if values.ndim == 1:
                series[name] = values
            else:
                series |= {f"{name}_{component + 1}": values[:, component] for component in range(values.shape[1])}
        return {name: values.unflatten(0, path.shape[:2]) for name, values in series.items()}


def load(folder: Path | str, seed: int | None = None, checkpoint: Name = "last") -> Solved:
    """The solution in a run's folder, of its first seed unless another is given.

    Raises:
        ValueError: the folder holds no equilibrium run, or none of that seed.
        CheckpointError: its checkpoint cannot be used.
    """
    model, policies = load_policies(Path(folder), checkpoint)
    if seed is not None and seed not in policies:
        raise ValueError(f"{folder} has no seed {seed}, but {', '.join(map(str, policies))}")
    return Solved(model, policies[next(iter(policies)) if seed is None else seed])


def print_moments(moments: Mapping[str, Mapping[str, float]], names: Sequence[str] | None = None) -> None:
    """Print moments as a table, of some series or all."""
    shown = list(names or moments)
    table = Table()
    table.add_column("series")
    for statistic in next(iter(moments.values())):
        table.add_column(statistic, justify="right")
    for name in shown:
        table.add_row(name, *(f"{value:.4g}" for value in moments[name].values()))
    Console(highlight=False).print(table)


def _correlation(one: Tensor, other: Tensor) -> float:
    pair = torch.stack([one.flatten(), other.flatten()])
    return torch.corrcoef(pair)[0, 1].item() if (pair.std(dim=1) > 0).all() else float("nan")
