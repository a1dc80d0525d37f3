"""The price of gold, one step ahead: networks beside persistence, ARIMA and a vector autoregression.

Every forecast is of the next price, made of prices until then. Parameters are those of the training part; forecasts
walk through the test part, where each takes the true prices before it. Errors are given as multiples of persistence's,
which says that tomorrow's price is today's: squared errors of prices alone say nothing, since prices that differ little
from day to day are foreseen to within a per cent by everyone who has seen the last one.

Networks forecast the price itself (standardised by the training part's mean and deviation), or the logarithmic return
from the last price (standardised by the training part's deviation).
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlsuite.configuration import Count, Fraction, NotNegative, Positive
from rlsuite.networks.mlp import mlp
from rlsuite.networks.recurrent import LastOutput
from rlsuite.supervised.config import Decay, SupervisedConfig
from rlsuite.supervised.data.series import Series, gold_daily, gold_index, gold_monthly, log_returns, silver, windows
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.source import Batches, minibatches
from rlsuite.tracking.notices import say

_TEST = 0.2  # share of the series, at its end
_RESAMPLES = 1_000
_DRAWN = 150  # steps


@dataclass(frozen=True, kw_only=True)
class GoldConfig(SupervisedConfig, group="forecasts"):
    epochs: Count = 40
    batch_size: Count = 32
    validation_fraction: Fraction = 0.15
    learning_rate: Positive = 1e-3
    decay: Decay = "cosine"
    weight_decay: NotNegative = 0.01
    series: Literal["daily", "monthly", "index"] = "daily"
    """Dollars a day 1985 to 1989, dollars a month from 1971 on, or an index a day 1977 to 2012, with silver."""
    network: Literal["mlp", "cnn", "lstm"] = "mlp"
    """Kind of the network."""
    forecast: Literal["returns", "prices"] = "returns"
    """Inputs and outputs of the network: log returns, or prices."""
    window: Count = 20
    """Steps that the network sees."""
    units: Count = 32
    """Units of its layers."""


class Steps(NamedTuple):
    """Inputs of the network ``[N, W]``, and what comes ``[N]``, both standardised."""

    seen: Tensor
    coming: Tensor


class Gold(NamedTuple):
    """A series, and the steps of its parts; the steps of a part end where the next begins."""

    prices: Series
    others: tuple[Series, ...]  # on the same days, for the vector autoregression
    train: Steps
    validation: Steps
    test: Steps
    shift: float  # of what the network says: shift + scale * output
    scale: float


GoldSetting = Setting[GoldConfig, Gold]


def load(config: GoldConfig) -> Gold:
    prices = {"daily": gold_daily, "monthly": gold_monthly, "index": gold_index}[config.series]()
    return steps(prices, (silver(),) if config.series == "index" else (), config)


def steps(prices: Series, others: tuple[Series, ...], config: GoldConfig) -> Gold:
    """Windows and what follows them.

    Raises:
        ValueError: the series is too short, or has prices without logarithms where these are needed.
    """
    values = prices.values if config.forecast == "prices" else log_returns(prices).values
    pairs = windows(values, config.window + 1)
    later = _TEST + config.validation_fraction, _TEST
    first, second = (len(pairs) - int(share * len(prices.values)) for share in later)
    if not config.batch_size <= first < second:
        raise ValueError(
            f"a series of {len(prices.values):,} prices is too short for windows of {config.window} steps, batches "
            f"of {config.batch_size} and --validation-fraction {config.validation_fraction:g}"
        )
    known = values[: first + config.window]
    shift, scale = (float(known.mean()) if config.forecast == "prices" else 0.0), float(known.std())
    tensor = torch.tensor((pairs - shift) / scale, dtype=torch.float32)
    parts = tensor[:first], tensor[first:second], tensor[second:]
    train, validation, test = (Steps(part[:, :-1], part[:, -1]) for part in parts)
    return Gold(prices, others, train, validation, test, shift, scale)


def network_of(config: GoldConfig) -> nn.Module:
    """A network from windows ``[B, W]`` to ``[B, 1]``."""
    units = config.units
    match config.network:
        case "mlp":
            return mlp([config.window, units, units, 1], "tanh")
        case "cnn":
            convolutions = (
                nn.Conv1d(1, units, 5, padding=2),
                nn.ReLU(),
                nn.Conv1d(units, units, 5, padding=2),
                nn.ReLU(),
            )
            head = nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4 * units, 1)
            return nn.Sequential(nn.Unflatten(1, (1, config.window)), *convolutions, *head)
    return nn.Sequential(nn.Unflatten(1, (config.window, 1)), LastOutput(1, units), nn.Linear(units, 1))


def make_source(setting: GoldSetting) -> Batches[Steps]:
    train = Steps(*(tensor[: setting.config.examples].to(setting.device) for tensor in setting.data.train))
    return minibatches(train, setting.config.batch_size, setting.seeds)


def loss(network: Forward, batch: Steps, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    return (network(batch.seen).squeeze(-1) - batch.coming).square().mean(dim=1), {}, state


def make_learner(setting: GoldSetting, total_updates: int) -> Learner[Steps]:
    config = setting.config
    return Learner(lambda: network_of(config), loss, config, total_updates, setting.seeds, setting.device)


def span(data: Gold, split: Split) -> slice:
    """Positions of a split's coming prices in the series."""
    end = len(data.prices.values) - (len(data.test.coming) if split == "validation" else 0)
    return slice(end - len(getattr(data, split).coming), end)


def before(data: Gold, split: Split) -> np.ndarray:
    """The price before each of a split: what persistence says."""
    place = span(data, split)
    return data.prices.values[place.start - 1 : place.stop - 1]


def forecasts(learner: Learner[Steps], setting: GoldSetting, split: Split) -> np.ndarray:
    """Prices ``[S, N]``."""
    data = setting.data
    seen = getattr(data, split).seen.to(learner.seeds.device).expand(len(learner.seeds), -1, -1)
    said = data.shift + data.scale * learner(seen).squeeze(-1).cpu().double().numpy()
    return said if setting.config.forecast == "prices" else before(data, split) * np.exp(said)


def rmse(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(errors).mean(axis=-1))


def evaluate(learner: Learner[Steps], setting: GoldSetting, split: Split) -> dict[str, np.ndarray]:
    """The root of the mean squared error of prices, and that as a multiple of persistence's."""
    true = setting.data.prices.values[span(setting.data, split)]
    errors = rmse(forecasts(learner, setting, split) - true)
    return {"ratio_to_persistence": errors / rmse(before(setting.data, split) - true), "rmse": errors}


def arima(data: Gold) -> np.ndarray:
    """ARIMA(1, 1, 1) of prices (Box and Jenkins, 1970), fitted before the test part, which it then walks through."""
    from statsmodels.tsa.arima.model import ARIMA

    place = span(data, "test")
    fitted = ARIMA(data.prices.values[: place.start], order=(1, 1, 1)).fit()
    return fitted.append(data.prices.values[place], refit=False).predict(start=place.start, end=place.stop - 1)


def autoregression(data: Gold) -> np.ndarray:
    """A vector autoregression of five log returns of gold, and of the other series (Sims, 1980), in the same way."""
    from statsmodels.tsa.ar_model import AutoReg
    from statsmodels.tsa.vector_ar.var_model import VAR

    lags, place = 5, span(data, "test")
    returns = np.stack([log_returns(series).values for series in (data.prices, *data.others)], axis=1)
    known = returns[: place.start - 1]
    if data.others:
        weights = np.asarray(VAR(known).fit(lags).params)[:, 0]
    else:
        weights = np.asarray(AutoReg(known[:, 0], lags).fit().params)
    past = windows(returns, lags)[:-1, ::-1].reshape(len(returns) - lags, -1)  # the last step first
    said = weights[0] + past @ weights[1:]
    return before(data, "test") * np.exp(said[-len(data.test.coming) :])


def interval(errors: np.ndarray, of_persistence: np.ndarray) -> list[float]:
    """95 % of the ratio of errors ``[N]`` over samples of whole blocks, since errors of neighbours go together."""
    count = len(errors)
    block = max(round(count ** (1 / 3)), 1)
    generator = np.random.default_rng(0)
    starts = generator.integers(0, count - block + 1, (_RESAMPLES, -(-count // block)))
    places = (starts[..., None] + np.arange(block)).reshape(_RESAMPLES, -1)[:, :count]
    ratios = rmse(errors[places]) / rmse(of_persistence[places])
    return np.quantile(ratios, (0.025, 0.975)).round(4).tolist()


def report(trained: Trained[GoldConfig, Gold]) -> Facts:
    """Draw the last forecasts; return all errors beside persistence's, with intervals."""
    data, config = trained.setting.data, trained.setting.config
    place = span(data, "test")
    true, persistence = data.prices.values[place], before(data, "test")
    found = {f"{config.network} on {config.forecast}": forecasts(trained.learner, trained.setting, "test")[0]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dates that are not given
            found["ARIMA(1, 1, 1)"] = arima(data)
            found["VAR(5)" if data.others else "AR(5) of returns"] = autoregression(data)
    except ImportError:
        say("no ARIMA and no VAR, which need statsmodels: pip install 'rlsuite[supervised]'")
    shown = slice(-_DRAWN, None)
    with figure(trained.folder / "forecasts.png", 9.0, 4.0) as (_, axes):
        axis = axes[0, 0]
        times = np.arange(len(true[shown]))
        axis.plot(times, true[shown], color="black", linewidth=1.4, label="price")
        drawn: dict[str, np.ndarray] = {"persistence": persistence, **found}
        for place_, (name, values) in enumerate(drawn.items()):
            axis.plot(times, values[shown], color=COLOURS[place_], linewidth=0.9, label=name)
        marks = np.linspace(0, len(times) - 1, 5).astype(int)
        dates = data.prices.dates[place][shown]
        axis.set_xticks(marks, [dates[mark] for mark in marks])
        axis.set_ylabel("index" if config.series == "index" else "dollars an ounce")
        axis.set_title("gold, each price foreseen one step before", fontsize="medium", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small")
    facts: Facts = {"persistence_rmse": round(float(rmse(persistence - true)), 4), "ratios": {}}
    for name, values in found.items():
        ratio = float(rmse(values - true) / rmse(persistence - true))
        facts["ratios"][name] = {"ratio": round(ratio, 4), "ci95": interval(values - true, persistence - true)}
    return facts


def experiment(name: str, task: str, most: float, config: GoldConfig) -> Experiment[GoldConfig, Gold]:
    return Experiment(
        name=name,
        task=task,
        data="gold",
        target=Target("ratio_to_persistence", most, higher_is_better=False),
        minutes=0.5,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        levels=lambda setting: {"persistence": 1.0},
    )


# Nobody should expect to be better than persistence: the target is to be no worse.
EXPERIMENTS: list[Experiment[Any, Any]] = [
    experiment("gold-mlp", "Tomorrow's price of gold by a dense network", 1.02, GoldConfig()),
    experiment("gold-cnn", "Tomorrow's price of gold by convolutions", 1.02, GoldConfig(network="cnn")),
    experiment("gold-lstm", "Tomorrow's price of gold by an LSTM", 1.02, GoldConfig(network="lstm", epochs=20)),
]
