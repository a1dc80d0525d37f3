"""Value at risk of the S&P 500: quantiles of tomorrow's return, given the returns until today.

Days of large moves follow each other, so that quantiles of all days together are too narrow in a crisis and too wide
outside. A network sees how large moves have been lately, on several scales, and which way the last one went; it answers
with quantiles as multiples of a weighted deviation of the past (RiskMetrics, 1996), and learns by the pinball loss.
Forecasts are for days after all that it was trained on, in the order of time. Each level is moved, day by day, so that
as many of the last 1,000 returns lie below it as should: what a market does to the tails changes over the years.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from rlsuite.configuration import Count, Fraction, NotNegative, Positive, Widths
from rlsuite.networks.mlp import mlp
from rlsuite.supervised.config import Decay, SupervisedConfig
from rlsuite.supervised.data.series import Series, log_returns, sp500, windows
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.quantiles import check_levels, coverage, pinball
from rlsuite.supervised.source import Batches, minibatches

_DECAYS = (0.75, 0.94, 0.985)  # of a day's square in a weighted deviation; the second is the unit of the answers
_WARM_UP = 250  # days before the first forecast
_CALIBRATION = 1_000  # days
_TEST = 0.2  # share of the days, at their end
_DRAWN = 500  # days


@dataclass(frozen=True, kw_only=True)
class RiskConfig(SupervisedConfig, group="quantiles"):
    epochs: Count = 60
    batch_size: Count = 256
    validation_fraction: Fraction = 0.15
    learning_rate: Positive = 2e-3
    decay: Decay = "cosine"
    weight_decay: NotNegative = 0.05
    levels: tuple[float, ...] = (0.01, 0.05, 0.9, 0.99)
    """Levels of the quantiles, rising."""
    hidden: Widths = (16,)
    """Units of the hidden layers."""


class Days(NamedTuple):
    """Inputs known before a day ``[N, F]``, the weighted deviation ``[N]``, and the day's return ``[N]``."""

    inputs: Tensor
    deviation: Tensor
    returns: Tensor


class Parts(NamedTuple):
    train: Days
    validation: Days
    test: Days
    dates: list[str]  # of the test days


Risk = Setting[RiskConfig, Parts]


def load(config: RiskConfig) -> Parts:
    check_levels(config.levels)
    return days(log_returns(sp500()), config)


def days(series: Series, config: RiskConfig) -> Parts:
    """Inputs and returns, in the order of time: the first days to train on, the last to test with.

    Raises:
        ValueError: the series is too short.
    """
    returns = series.values
    windows(returns, 2 * _WARM_UP)
    squares = [_weighted(returns**2, decay) for decay in _DECAYS]
    deviations = np.sqrt(np.stack(squares, axis=1))[_WARM_UP - 1 : -1]
    today, last = returns[_WARM_UP:], returns[_WARM_UP - 1 : -1]
    unit = deviations[:, 1]
    ratios = np.log(deviations[:, [0, 2]] / unit[:, None])
    first, second = (int((1.0 - kept) * len(today)) for kept in (_TEST + config.validation_fraction, _TEST))
    if not 0 < first < second:
        share = config.validation_fraction
        raise ValueError(f"--validation-fraction {share:g} leaves no days to learn from, or none to choose by")
    level = np.log(unit / today[:first].std())
    inputs = np.column_stack([ratios, level, last / unit, np.abs(last) / unit])
    known = Days(*(torch.tensor(values, dtype=torch.float32) for values in (inputs, unit, today)))
    train, validation, test = (
        Days(*(tensor[part] for tensor in known)) for part in (slice(first), slice(first, second), slice(second, None))
    )
    return Parts(train, validation, test, series.dates[_WARM_UP:][second:])


def _weighted(values: np.ndarray, decay: float) -> np.ndarray:
    """The mean of values until each, older ones weighted less; it begins at the mean of the warm-up."""
    start = [decay * values[:_WARM_UP].mean()]
    return lfilter([1.0 - decay], [1.0, -decay], values, zi=start)[0]


def make_source(setting: Risk) -> Batches[Days]:
    train = Days(*(tensor[: setting.config.examples].to(setting.device) for tensor in setting.data.train))
    return minibatches(train, setting.config.batch_size, setting.seeds)


def make_learner(setting: Risk, total_updates: int) -> Learner[Days]:
    config = setting.config
    levels = torch.tensor(config.levels, device=setting.device)

    def loss(network: Forward, batch: Days, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        # In units of the deviation, so that calm days teach as much as wild ones.
        found = pinball(network(batch.inputs), batch.returns / batch.deviation, levels)
        return found.mean(dim=(1, 2)), {}, state

    sizes = [setting.data.train.inputs.shape[1], *config.hidden, len(config.levels)]
    return Learner(lambda: mlp(sizes, "tanh"), loss, config, total_updates, setting.seeds, setting.device)


def forecasts(learner: Learner[Days], setting: Risk, split: Split) -> Tensor:
    """Quantiles of returns on the days of a split, ``[S, N, Q]``, each by what was known the day before."""
    data = setting.data
    parts = [data.train, data.validation] + ([data.test] if split == "test" else [])
    days = Days(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    wanted, levels = len(parts[-1].returns), setting.config.levels
    inputs = days.inputs.to(learner.seeds.device).expand(len(learner.seeds), -1, -1)
    found = learner(inputs).cpu()
    window = min(_CALIBRATION, len(days.returns) - wanted)
    errors = ((days.returns / days.deviation).unsqueeze(-1) - found).numpy()
    moved = np.empty((len(found), wanted, len(levels)), dtype=np.float32)
    for seed, own in enumerate(errors):
        past = windows(own[-wanted - window : -1], window)
        for place, level in enumerate(levels):
            moved[seed, :, place] = np.quantile(past[..., place], level, axis=1)
    quantiles = found[:, -wanted:] + torch.from_numpy(moved)
    return quantiles.sort(dim=-1).values * parts[-1].deviation.unsqueeze(-1)


def unconditional(setting: Risk) -> Tensor:
    """Quantiles of all training days ``[Q]``."""
    return torch.quantile(setting.data.train.returns, torch.tensor(setting.config.levels))


def evaluate(learner: Learner[Days], setting: Risk, split: Split) -> dict[str, np.ndarray]:
    """The pinball loss as a multiple of the unconditional quantiles', and how many coverage tests reject nothing."""
    config = setting.config
    days: Days = getattr(setting.data, split)
    levels = torch.tensor(config.levels)
    found = forecasts(learner, setting, split)
    own = pinball(found, days.returns, levels).mean(dim=(1, 2))
    of_all = pinball(unconditional(setting).expand(len(days.returns), -1), days.returns, levels).mean()
    below = (days.returns.unsqueeze(-1) < found).numpy()
    tests = [[coverage(seed[:, place], level)[1:] for place, level in enumerate(config.levels)] for seed in below]
    return {
        "loss_ratio": (own / of_all).numpy(),
        "pinball": own.numpy(),
        "tests_passed": (np.array(tests) >= 0.05).sum(axis=(1, 2)).astype(np.float64),
    }


def report(trained: Trained[RiskConfig, Parts]) -> Facts:
    """Draw the last days with the first seed's quantiles; return losses and coverage of each level."""
    setting, config = trained.setting, trained.setting.config
    days, levels = setting.data.test, torch.tensor(config.levels)
    found = forecasts(trained.learner, setting, "test")[0]
    of_all = unconditional(setting).expand(len(days.returns), -1)
    facts: Facts = {"tests": 2 * len(config.levels), "first_test_day": setting.data.dates[0]}
    for name, own in (("network", found), ("unconditional", of_all)):
        losses = pinball(own, days.returns, levels).mean(dim=0)
        facts[name] = {
            f"{level:g}": {"pinball": round(float(losses[place]), 6)}
            | {
                test: round(value, 4)
                for test, value in coverage((days.returns < own[:, place]).numpy(), level)._asdict().items()
            }
            for place, level in enumerate(config.levels)
        }
    draw(trained, found)
    return facts


def draw(trained: Trained[RiskConfig, Parts], found: Tensor) -> None:
    """Draw the fan of quantiles over the last days, and the returns, with those outside."""
    data, levels = trained.setting.data, trained.setting.config.levels
    shown = 100.0 * found[-_DRAWN:].numpy()
    returns, dates = 100.0 * data.test.returns[-_DRAWN:].numpy(), data.dates[-_DRAWN:]
    times = np.arange(len(returns))
    with figure(trained.folder / "value_at_risk.png", 9.0, 4.2) as (_, axes):
        axis = axes[0, 0]
        for inner in range(len(levels) // 2):
            low, high = shown[:, inner], shown[:, -1 - inner]
            label = f"quantiles at {levels[inner]:g} and {levels[-1 - inner]:g}"
            axis.fill_between(times, low, high, color=COLOURS[0], alpha=0.2 + 0.15 * inner, linewidth=0, label=label)
        outside = (returns < shown[:, 0]) | (returns > shown[:, -1])
        axis.plot(times, returns, ".", color="0.3", markersize=2.5, label="returns")
        axis.plot(times[outside], returns[outside], "o", color=COLOURS[1], markersize=4, label="outside")
        places = np.linspace(0, len(times) - 1, 6).astype(int)
        axis.set_xticks(places, [dates[place] for place in places])
        axis.set_ylabel("daily return, %")
        axis.set_title("S&P 500: each day by a forecast of the day before", fontsize="medium", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small", ncols=2, loc="lower left")


EXPERIMENTS = [
    Experiment(
        name="value-at-risk",
        task="Quantiles of tomorrow's return of the S&P 500",
        data="S&P 500",
        target=Target("loss_ratio", 0.9, higher_is_better=False),
        minutes=0.3,
        config=RiskConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        levels=lambda setting: {"quantiles of all days": 1.0},
    )
]
