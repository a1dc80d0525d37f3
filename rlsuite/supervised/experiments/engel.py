"""Engel's food expenditure: a line for each quantile of what households spend on food, given their income.

Lines spread as incomes rise: the rich differ more in what they spend (Koenker and Bassett, 1982). The lines are the
minimum of the pinball loss, found by gradient descent on all 235 households at once with a falling rate. Beside them is
what linear programming finds (``statsmodels``).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Positive
from rlsuite.supervised.config import AdamConfig, Decay
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.quantiles import check_levels, pinball
from rlsuite.supervised.source import FULL_BATCH, Batches


@dataclass(frozen=True, kw_only=True)
class EngelConfig(AdamConfig, group="quantiles"):
    epochs: Count = 10
    learning_rate: Positive = 0.02
    decay: Decay = "cosine"
    steps: Count = 300
    """Updates an epoch, each on all households."""
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    """Levels of the quantiles, rising."""


class Households(NamedTuple):
    """Income and food expenditure ``[N]``, and the lines of linear programming ``[Q, 2]``: intercept and slope."""

    income: Tensor
    food: Tensor
    lines: Tensor


Engel = Setting[EngelConfig, Households]


def load(config: EngelConfig) -> Households:
    """235 Belgian households in the 1850s (Engel, 1857).

    Raises:
        ValueError: statsmodels, with which they come, is not installed; or a level is not inside (0, 1).
    """
    check_levels(config.levels)
    try:
        from statsmodels.datasets import engel
        from statsmodels.regression.quantile_regression import QuantReg
    except ImportError:
        raise ValueError("Engel's data come with statsmodels: pip install 'rlsuite[supervised]'") from None
    table = engel.load().data
    income, food = (np.asarray(table[name], dtype=np.float64) for name in ("income", "foodexp"))
    inputs = np.stack([np.ones_like(income), income], axis=1)
    found = [QuantReg(food, inputs).fit(q=level).params for level in config.levels]
    return Households(torch.tensor(income), torch.tensor(food), torch.tensor(np.array(found)))


def spread(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(), values.std(correction=0)


def make_source(setting: Engel) -> Batches[Households]:
    """All households, with mean 0 and deviation 1."""

    def same(values: Tensor) -> Tensor:
        mean, deviation = spread(values)
        return ((values - mean) / deviation).float().to(setting.device).expand(len(setting.seeds), -1)

    batch = setting.data._replace(income=same(setting.data.income), food=same(setting.data.food))
    return Batches(lambda number: batch, setting.config.steps, alone=FULL_BATCH)


def make_learner(setting: Engel, total_updates: int) -> Learner[Households]:
    levels = torch.tensor(setting.config.levels, device=setting.device)

    def loss(network: Forward, batch: Households, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        forecasts = network(batch.income.unsqueeze(-1))
        return pinball(forecasts, batch.food, levels).mean(dim=(1, 2)), {}, state

    network = lambda: nn.Linear(1, len(levels))  # noqa: E731
    return Learner(network, loss, setting.config, total_updates, setting.seeds, setting.device)


def lines(learner: Learner[Households], data: Households) -> Tensor:
    """Intercepts and slopes in the units of the data, ``[S, Q, 2]``."""
    named = learner.network.named(learner.network.parameters)
    weight, bias = named["weight"].squeeze(-1).double().cpu(), named["bias"].double().cpu()
    (income, income_deviation), (food, food_deviation) = spread(data.income), spread(data.food)
    slope = weight * food_deviation / income_deviation
    return torch.stack([food + food_deviation * bias - slope * income, slope], dim=-1)


def evaluate(learner: Learner[Households], setting: Engel, split: Split) -> dict[str, np.ndarray]:
    """The largest difference of a coefficient from linear programming's, as a share of it, and the losses' ratio."""
    data = setting.data
    found = lines(learner, data)
    levels = torch.tensor(setting.config.levels, dtype=torch.float64)

    def losses(own: Tensor) -> Tensor:
        forecasts = own[..., 0].unsqueeze(-2) + data.income.unsqueeze(-1) * own[..., 1].unsqueeze(-2)
        return pinball(forecasts, data.food, levels).mean(dim=(-2, -1))

    return {
        "difference": ((found - data.lines) / data.lines).abs().amax(dim=(1, 2)).numpy(),
        "loss_ratio": (losses(found) / losses(data.lines)).numpy(),
    }


def report(trained: Trained[EngelConfig, Households]) -> Facts:
    """Draw households and the first seed's lines; return the lines of both."""
    data, levels = trained.setting.data, trained.setting.config.levels
    found = lines(trained.learner, data)[0]
    with figure(trained.folder / "engel.png", 6.4, 4.4) as (_, axes):
        axis = axes[0, 0]
        axis.scatter(data.income, data.food, s=8, color="0.6", linewidths=0, label="households")
        ends = np.array([float(data.income.min()), float(data.income.max())])
        for place, (level, (intercept, slope)) in enumerate(zip(levels, found.tolist(), strict=True)):
            colour = COLOURS[place % len(COLOURS)]
            axis.plot(ends, intercept + slope * ends, color=colour, label=f"quantile at {level:g}")
        axis.set_xlabel("income, Belgian francs")
        axis.set_ylabel("spent on food")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small")
    named = zip(levels, found.tolist(), data.lines.tolist(), strict=True)
    return {"lines": {f"{level:g}": {"descent": own, "statsmodels": theirs} for level, own, theirs in named}}


EXPERIMENTS = [
    Experiment(
        name="engel",
        task="Quantiles of food expenditure by income, beside linear programming",
        data="statsmodels' engel",
        target=Target("difference", 5e-4, higher_is_better=False),
        minutes=0.3,
        config=EngelConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
    )
]
