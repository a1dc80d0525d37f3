"""Demand for goods, days ahead: quantiles at every horizon, from every day (MQ-RNN; Wen et al., 2017).

What is sold has a level that wanders, a week, and events: days that are announced ahead, with much demand on the day
and less on the days after. Nothing in the past tells when an event comes; only what is known of the future does, at the
very day that a forecast is for. ``--no-future`` and ``--no-events`` take away what is known ahead, and the events.

Shapes: S seeds, B goods, T days from which forecasts are made, K horizons.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlsuite import random
from rlsuite.configuration import Count, Positive
from rlsuite.networks.forking import ForkingForecaster
from rlsuite.supervised.config import Decay, SupervisedConfig
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.figures import COLOURS, curves, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.quantiles import check_levels, pinball
from rlsuite.supervised.source import Batches, made_up

_EVALUATION_STREAM = 54
_EVALUATED = 200  # goods
_WEEK = 7
_WARM_UP = 4 * _WEEK  # days before the first forecast that counts
_EVENT_CHANCE, _EVENT_LIFT, _AFTER = 0.05, 1.0, (-0.4, -0.2)  # a day; logarithms on the day and the days after


@dataclass(frozen=True, kw_only=True)
class DemandConfig(SupervisedConfig, group="quantiles"):
    epochs: Count = 12
    batch_size: Count = 16
    examples: Count = 800
    learning_rate: Positive = 5e-3
    decay: Decay = "cosine"
    max_gradient_norm: Positive | None = 1.0
    days: Count = 70
    """Days that are read."""
    horizons: Count = 14
    """Days ahead of the farthest forecast."""
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)
    """Levels of the quantiles, rising, with 0.5 and 0.9 among them."""
    future: bool = True
    """Whether the days to come are known: the day of the week, and events unless they are hidden."""
    events: bool = True
    """Whether events are seen."""


class Goods(NamedTuple):
    """Demand ``[S, B, T + K]``, and by day the weekday, as seven numbers, and the event: ``[S, B, T + K, 8]``."""

    demand: Tensor
    calendar: Tensor


DemandSetting = Setting[DemandConfig, dict[str, Goods]]


def goods(key: Tensor, count: int, days: int) -> Goods:
    """Goods ``[S, count, days]`` from keys ``[S]``: their mean over the first weeks is 1."""
    keys = [random.fold(key, place) for place in range(5)]
    level = 0.05 * random.normal(keys[0], count, days).cumsum(dim=-1)
    week = 0.4 * random.normal(keys[1], count, _WEEK)
    today = (random.integers(keys[2], _WEEK, count).unsqueeze(-1) + torch.arange(days, device=key.device)) % _WEEK
    event = (random.uniform(keys[3], count, days) < _EVENT_CHANCE).float()
    lift = _EVENT_LIFT * event
    for after, size in enumerate(_AFTER, start=1):
        lift[..., after:] += size * event[..., :-after]
    noise = 0.15 * random.normal(keys[4], count, days)
    demand = (level + week.gather(-1, today) + lift + noise).exp()
    demand = demand / demand[..., :_WARM_UP].mean(dim=-1, keepdim=True)
    calendar = torch.cat([torch.nn.functional.one_hot(today, _WEEK).float(), event.unsqueeze(-1)], dim=-1)
    return Goods(demand, calendar)


def inputs(batch: Goods, config: DemandConfig) -> tuple[Tensor, Tensor]:
    """The past ``[S, B, T, 9]``, and what is known of each of the K days after each ``[S, B, T, K, C]``.

    That is demand on the same day of the last two weeks, and if the future is known the calendar. All are aligned: at
    horizon k from day t stands what is known of day t + k.
    """
    calendar = batch.calendar if config.events else batch.calendar[..., :-1]
    days, horizons = batch.demand.shape[-1] - config.horizons, config.horizons
    past = torch.cat([batch.demand.unsqueeze(-1), calendar], dim=-1)[:, :, :days]
    known = [same_day(batch.demand, horizons, weeks).unsqueeze(-1) for weeks in (0, 1)]
    if config.future:
        known.append(calendar[:, :, 1:].unfold(2, horizons, 1).transpose(-1, -2))
    return past, torch.cat(known, dim=-1)


def same_day(demand: Tensor, horizons: int, weeks: int = 0) -> Tensor:
    """The last demand, or that so many weeks before, on the weekday of each of the K days after each day.

    ``[..., T + K]`` to ``[..., T, K]``.
    """
    ahead = torch.arange(1, horizons + 1, device=demand.device)
    back = _WEEK * ((ahead - 1) // _WEEK + 1 + weeks)
    days = torch.arange(demand.shape[-1] - horizons, device=demand.device).unsqueeze(1)
    return demand[..., (days + ahead - back).clamp(min=0)]


def outcomes(demand: Tensor, horizons: int) -> Tensor:
    """Sales on the K days after each: ``[S, B, T + K]`` to ``[S, B, T, K]``."""
    return demand[..., 1:].unfold(-1, horizons, 1)


def load(config: DemandConfig) -> dict[str, Goods]:
    """Goods of the validation and the test set.

    Raises:
        ValueError: a level is not inside (0, 1), or there are fewer days than a forecast needs.
    """
    check_levels(config.levels)
    if missing := {0.5, 0.9} - set(config.levels):
        raise ValueError(f"--levels must have 0.5 and 0.9, which are compared, but lacks {min(missing):g}")
    if config.days <= _WARM_UP:
        raise ValueError(f"a series of {config.days} days is too short: --days must be more than {_WARM_UP}")
    keys = random.key(torch.arange(2), _EVALUATION_STREAM).split(1)
    held = [goods(key, _EVALUATED, config.days + config.horizons) for key in keys]
    return {"validation": held[0], "test": held[1]}


def make_source(setting: DemandSetting) -> Batches[Goods]:
    config = setting.config
    days, an_epoch = config.days + config.horizons, max(config.examples // config.batch_size, 1)
    return made_up(lambda keys: goods(keys, config.batch_size, days), setting.seeds, an_epoch, setting.device)


def make_learner(setting: DemandSetting, total_updates: int) -> Learner[Goods]:
    config = setting.config
    levels = torch.tensor(config.levels, device=setting.device)
    known = 2 + (_WEEK + config.events if config.future else 0)

    def loss(network: Forward, batch: Goods, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        found = pinball(network(*inputs(batch, config)), outcomes(batch.demand, config.horizons), levels)
        return found[:, :, _WARM_UP:].mean(dim=(1, 2, 3, 4)), {}, state

    network = lambda: ForkingForecaster(1 + _WEEK + config.events, known, config.horizons, len(levels))  # noqa: E731
    return Learner(network, loss, config, total_updates, setting.seeds, setting.device)


def forecasts(learner: Learner[Goods], setting: DemandSetting, split: Split) -> tuple[Tensor, Tensor]:
    """Quantiles ``[S, B, T', K, Q]`` from each day after the first weeks, and what comes ``[B, T', K]``."""
    held = setting.data[split]
    seeds = len(learner.seeds)
    pieces = [
        learner(*(part.expand(seeds, *part.shape[1:]).to(learner.seeds.device) for part in inputs(own, setting.config)))
        for own in (Goods(*pair) for pair in zip(held.demand.split(50, 1), held.calendar.split(50, 1), strict=True))
    ]
    found = torch.cat(pieces, dim=1).cpu().sort(dim=-1).values
    return found[:, :, _WARM_UP:], outcomes(held.demand[0], setting.config.horizons)[:, _WARM_UP:]


def naive(setting: DemandSetting, split: Split) -> Tensor:
    """Demand of the same day of the last week, moved at each horizon by a quantile of its errors: ``[B, T', K, Q]``."""
    config = setting.config

    known, held = (setting.data[part].demand[0] for part in ("validation", split))
    errors = (outcomes(known, config.horizons) - same_day(known, config.horizons))[:, _WARM_UP:].flatten(0, 1)
    moved = torch.quantile(errors[:: max(len(errors) // 5_000, 1)], torch.tensor(config.levels), dim=0).mT
    return same_day(held, config.horizons)[:, _WARM_UP:].unsqueeze(-1) + moved


def evaluate(learner: Learner[Goods], setting: DemandSetting, split: Split) -> dict[str, np.ndarray]:
    """Losses at 0.5 and 0.9 as multiples of the seasonal naive forecast's, and the share below each quantile."""
    levels = torch.tensor(setting.config.levels)
    found, coming = forecasts(learner, setting, split)
    own = pinball(found, coming, levels).mean(dim=(1, 2, 3))  # [S, Q]
    of_naive = pinball(naive(setting, split), coming, levels).mean(dim=(0, 1, 2))
    ratios = (own / of_naive).numpy()
    below = (coming.unsqueeze(-1) < found).float().mean(dim=(1, 2, 3)).numpy()
    p50, p90 = (setting.config.levels.index(level) for level in (0.5, 0.9))
    return {
        "worse_ratio": np.maximum(ratios[:, p50], ratios[:, p90]),
        "p50_ratio": ratios[:, p50],
        "p90_ratio": ratios[:, p90],
        "below_p50": below[:, p50],
        "below_p90": below[:, p90],
    }


def report(trained: Trained[DemandConfig, dict[str, Goods]]) -> Facts:
    """Draw fans of forecasts for some goods, and how losses grow with the horizon."""
    setting, config = trained.setting, trained.setting.config
    found, coming = forecasts(trained.learner, setting, "test")
    held = setting.data["test"]
    with figure(trained.folder / "fans.png", 9.0, 5.4, 3, 1) as (_, axes):
        for axis, own, demand, calendar in zip(axes[:, 0], found[0], held.demand[0], held.calendar[0], strict=False):
            fan, days = own[-1].numpy(), np.arange(len(demand))  # made on the last day that is read
            ahead = days[-config.horizons :]
            axis.plot(days[_WARM_UP:], demand[_WARM_UP:], color="0.3", linewidth=1.0, label="demand")
            for event in np.flatnonzero(calendar[:, -1]):
                if event >= _WARM_UP:
                    axis.axvline(event, color=COLOURS[1], linewidth=0.8, linestyle=":")
            axis.fill_between(ahead, fan[:, 0], fan[:, -1], color=COLOURS[0], alpha=0.25, linewidth=0, label="fan")
            axis.plot(ahead, fan[:, config.levels.index(0.5)], color=COLOURS[0], label="median")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0, 0].set_title("three goods; dotted lines are events", fontsize="medium", loc="left")
        axes[0, 0].legend(frameon=False, fontsize="small", loc="upper left", ncols=3)
        axes[-1, 0].set_xlabel("day")
    levels = torch.tensor(config.levels)
    horizons = np.arange(1, config.horizons + 1)
    by_horizon = pinball(found[0], coming, levels).mean(dim=(0, 1, 3)).numpy()
    of_naive = pinball(naive(setting, "test"), coming, levels).mean(dim=(0, 1, 3)).numpy()
    lines = {"network": (horizons, by_horizon), "same day of the last week": (horizons, of_naive)}
    curves(trained.folder / "by_horizon.png", lines, "days ahead", "pinball loss", "How far it foresees")
    return {"by_horizon": by_horizon.round(4).tolist(), "naive_by_horizon": of_naive.round(4).tolist()}


EXPERIMENTS: list[Experiment[Any, Any]] = [
    Experiment(
        name="demand",
        task="Quantiles of demand, two weeks ahead, with events that are announced",
        data="made up",
        target=Target("worse_ratio", 0.75, higher_is_better=False),
        minutes=0.7,
        config=DemandConfig(),
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        levels=lambda setting: {"same day of the last week": 1.0},
    )
]
