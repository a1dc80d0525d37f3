"""Market abuse as what an honest flow of orders does not look like: an autoencoder and an LSTM that saw no abuse.

The autoencoder makes a short code of a window of events, and an event's score is its squared error; the LSTM foretells
each event from those before, and its score is the negative log-likelihood. A window's score is the mean of the worst 16
events in a row, and if that is above the score of all but a share of honest windows, the alarm rate, it is an alarm. No
label is used before the test: not to learn, not to stop, not to set the alarm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlsuite import random
from rlsuite.configuration import Count, Positive, Widths
from rlsuite.networks.mlp import mlp
from rlsuite.networks.recurrent import RecurrentBackbone, WithMemory
from rlsuite.supervised.config import Decay, SupervisedConfig
from rlsuite.supervised.experiment import Experiment, Facts, Setting, Split, Target, Trained
from rlsuite.supervised.experiments.autoencoder import PrincipalComponents, principal_components
from rlsuite.supervised.figures import COLOURS, figure
from rlsuite.supervised.learner import Forward, Learner, State
from rlsuite.supervised.order_flow import FEATURES, LEVELS, SCHEMES, Flow, honest
from rlsuite.supervised.source import Batches, minibatches

_STREAM = 16
_CALIBRATED, _SUSPECTED = 10_000, 1_000  # windows: honest, to set the alarm and to test it; of each kind of abuse
_RATES = (0.01, 0.001)  # of false alarms
_PREVALENCE = 0.01  # of abuse, for the precision
_LOG_STD = (-2.0, 2.0)  # equal sizes would else be foretold without end
_SPAN = 16  # events in a row that a scheme is seen in
_PART = 1_000  # windows at a time


@dataclass(frozen=True, kw_only=True)
class AbuseConfig(SupervisedConfig, group="detector"):
    """The training of a detector on honest flow."""

    batch_size: Count = 100
    examples: Count = 20_000
    learning_rate: Positive = 2e-3
    decay: Decay = "cosine"
    events: Count = 64
    """Events of a window."""
    hidden: Widths = (128,)
    """Units of the autoencoder's layers before the code, or outputs of the LSTM's cells."""
    code: Count = 48
    """Numbers that the autoencoder makes of a window."""


class Windows(NamedTuple):
    """Features ``[N, T, 10]`` of events."""

    features: Tensor


class Held(NamedTuple):
    """Windows that are not trained on: honest, and of each kind of abuse."""

    honest: Tensor
    abuse: dict[str, Tensor]


class Parts(NamedTuple):
    train: Windows
    calibration: Tensor  # honest windows, by which the alarm is set
    validation: Held
    test: Held
    components: PrincipalComponents


Detection = Setting[AbuseConfig, Parts]
Score = Callable[[Learner[Windows], Tensor], Tensor]


def load(config: AbuseConfig) -> Parts:
    few = _SUSPECTED // 4
    counts = [config.examples or 0, _CALIBRATED, few, _CALIBRATED]
    train, calibration, validation, test = _windows(honest, 0, sum(counts), config).split(counts)
    abuse = {
        name: _windows(make, number, few + _SUSPECTED, config).split([few, _SUSPECTED])
        for number, (name, make) in enumerate(SCHEMES.items(), start=1)
    }
    return Parts(
        Windows(train),
        calibration,
        Held(validation, {name: split[0] for name, split in abuse.items()}),
        Held(test, {name: split[1] for name, split in abuse.items()}),
        principal_components(_flat(train)),
    )


def _windows(make: Callable[[Tensor, int], Flow], number: int, count: int, config: AbuseConfig) -> Tensor:
    return make(random.key(torch.arange(count), _STREAM, number), config.events).features()


def worst(events: Tensor) -> Tensor:
    """The largest mean ``[...]`` of so many of the scores ``[..., T]`` in a row."""
    return events.unfold(-1, _SPAN, 1).mean(dim=-1).amax(dim=-1)


def _flat(features: Tensor) -> Tensor:
    return features.flatten(-2)


def make_source(setting: Detection) -> Batches[Windows]:
    train = Windows(setting.data.train.features.to(setting.device))
    return minibatches(train, setting.config.batch_size, setting.seeds)


# --- an autoencoder of windows


def autoencoder(config: AbuseConfig) -> nn.Sequential:
    sizes = [FEATURES * config.events, *config.hidden, config.code]
    return nn.Sequential(mlp(sizes, "relu"), mlp(sizes[::-1], "relu"))


def reconstruction_error(network: Forward, batch: Windows, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    flat = _flat(batch.features)
    return (network(flat) - flat).square().mean(dim=(1, 2)), {}, state


def autoencoder_score(learner: Learner[Windows], features: Tensor) -> Tensor:
    flat = _flat(features)
    return worst((learner(flat) - flat).square().unflatten(-1, (-1, FEATURES)).mean(dim=-1))


def component_score(components: PrincipalComponents, features: Tensor, numbers: int) -> Tensor:
    """The same ``[N]`` of as many principal components as the code has numbers."""
    flat = _flat(features)
    errors = (flat - components.pictures(components.codes(flat, numbers))).square()
    return worst(errors.unflatten(-1, (-1, FEATURES)).mean(dim=-1))


# --- an LSTM that foretells events


def forecaster(config: AbuseConfig) -> WithMemory:
    backbone = RecurrentBackbone(FEATURES, config.hidden[0], "lstm", layers=len(config.hidden))
    return WithMemory(nn.Identity(), backbone, nn.Linear(config.hidden[-1], 3 + 1 + LEVELS + 4 + 3))


def surprise(outputs: Tensor, features: Tensor) -> Tensor:
    """The negative log-likelihood ``[...]`` of events, given what was foretold of each.

    Kind, side, level and repetitions of the size are classes, size and the logarithm of the gap are Gaussian; all are
    independent given the past, but for the level of a trade, which is always the best.
    """
    kind, side, level, numbers, repeated = outputs.split([3, 1, LEVELS, 4, 3], dim=-1)
    of_kind, of_side, of_level, measured, of_repeated = features.split([3, 1, 1, 2, 3], dim=-1)
    classes = -(F.log_softmax(kind, dim=-1) * of_kind).sum(dim=-1)
    sides = F.softplus(-of_side * side).squeeze(-1)
    found = F.one_hot((2.0 * of_level.squeeze(-1) + 1.0).round().long(), LEVELS)
    levels = -(F.log_softmax(level, dim=-1) * found).sum(dim=-1) * (1.0 - of_kind[..., 2])
    mean, log_std = numbers.chunk(2, dim=-1)
    log_std = log_std.clamp(*_LOG_STD)
    densities = (0.5 * ((measured - mean) / log_std.exp()).square() + log_std).sum(dim=-1)
    repetitions = F.binary_cross_entropy_with_logits(repeated, (of_repeated > 0.0).float(), reduction="none").sum(
        dim=-1
    )
    return classes + sides + levels + densities + repetitions


def forecast_error(network: Forward, batch: Windows, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
    outputs, _ = network(batch.features[:, :, :-1])
    return surprise(outputs, batch.features[:, :, 1:]).mean(dim=(1, 2)), {}, state


def forecaster_score(learner: Learner[Windows], features: Tensor) -> Tensor:
    outputs, _ = learner(features[:, :, :-1])
    return worst(surprise(outputs, features[:, :, 1:]))


# --- both


def scores(learner: Learner[Windows], score: Score, features: Tensor) -> np.ndarray:
    """The scores ``[S, N]`` of windows ``[N, T, 10]``, by the network of each seed."""
    seeds = len(learner.seeds)
    parts = features.to(learner.seeds.device).split(_PART)
    return torch.cat([score(learner, part.expand(seeds, *part.shape)) for part in parts], dim=1).cpu().numpy()


def recalls(calibration: np.ndarray, abuse: np.ndarray, rate: float) -> np.ndarray:
    """The share ``[S]`` of abuse with a higher score than all but a share of honest windows."""
    alarm = np.quantile(calibration, 1.0 - rate, axis=1, keepdims=True)
    return (abuse > alarm).mean(axis=1)


def precision(recall: float, false_alarms: float) -> float:
    """The share of alarms that are right, where one window in a hundred is abuse."""
    right, wrong = _PREVALENCE * recall, (1.0 - _PREVALENCE) * false_alarms
    return right / (right + wrong) if right + wrong else 0.0


def table(calibration: np.ndarray, held: dict[str, np.ndarray]) -> Facts:
    """Recall by kind, false alarms and precision of one detector's scores ``[N]``, at each alarm rate."""
    facts: Facts = {}
    for rate in _RATES:
        found = {name: float(recalls(calibration[None], own[None], rate)[0]) for name, own in held.items()}
        false_alarms = found.pop("honest")
        mean = float(np.mean(list(found.values())))
        facts[f"alarm rate {rate:g}"] = {
            "recall": found,
            "mean_recall": mean,
            "false_alarms": false_alarms,
            "precision_at_1_percent_abuse": precision(mean, false_alarms),
        }
    return facts


def draw(trained: Trained[AbuseConfig, Parts], calibration: np.ndarray, held: dict[str, np.ndarray]) -> None:
    """Draw the scores of each kind, and the recall at every alarm rate."""
    rates = np.logspace(-3, 0, 200)
    with figure(trained.folder / "abuse.png", 9.0, 3.6, 1, 2) as (_, axes):
        left, right = axes[0]
        low, high = np.quantile(np.concatenate(list(held.values())), [0.001, 0.999])
        for colour, (name, own) in zip(("0.5", *COLOURS), held.items(), strict=False):
            left.hist(own, bins=60, range=(low, high), density=True, histtype="step", color=colour, label=name)
            if name != "honest":
                alarms = [recalls(calibration[None], own[None], rate)[0] for rate in rates]
                right.plot(rates, alarms, color=colour, label=name)
        left.axvline(np.quantile(calibration, 0.99), color="0.3", linestyle="--", linewidth=1, label="alarm at 1 %")
        left.set_xlabel("score of a window")
        left.set_yticks([])
        right.plot(rates, rates, ":", color="0.5", label="chance")
        right.set_xscale("log")
        right.set_xlabel("alarm rate on honest windows")
        right.set_ylabel("recall")
        for axis in (left, right):
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False, fontsize="small")


def experiment(
    name: str,
    task: str,
    network: Callable[[AbuseConfig], nn.Module],
    loss: Any,
    score: Score,
    target: float,
    config: AbuseConfig,
) -> Experiment[AbuseConfig, Parts]:
    def make_learner(setting: Detection, total_updates: int) -> Learner[Windows]:
        own = setting.config
        return Learner(lambda: network(own), loss, own, total_updates, setting.seeds, setting.device)

    def evaluate(learner: Learner[Windows], setting: Detection, split: Split) -> dict[str, np.ndarray]:
        """Recall at an alarm rate of 1 %, by kind and on average."""
        held: Held = getattr(setting.data, split)
        calibration = scores(learner, score, setting.data.calibration)
        found = {
            f"recall_{kind.replace(' ', '_')}": recalls(calibration, scores(learner, score, own), _RATES[0])
            for kind, own in held.abuse.items()
        }
        return {"recall": np.mean(list(found.values()), axis=0)} | found

    def report(trained: Trained[AbuseConfig, Parts]) -> Facts:
        data, learner = trained.setting.data, trained.learner
        windows = {"honest": data.test.honest} | data.test.abuse
        calibration = scores(learner, score, data.calibration)[0]
        found = {kind: scores(learner, score, own)[0] for kind, own in windows.items()}
        draw(trained, calibration, found)
        simple, of_simple = _by_components(trained.setting, windows)
        return {"detector": table(calibration, found), "principal components": table(simple, of_simple)}

    return Experiment(
        name=name,
        task=task,
        data="made up",
        target=Target("recall", target),
        minutes=1,
        config=config,
        load=load,
        make_source=make_source,
        make_learner=make_learner,
        evaluate=evaluate,
        report=report,
        tested="last",
        levels=lambda setting: {"principal components": _components_recall(setting)},
    )


def _by_components(setting: Detection, windows: dict[str, Tensor]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Scores by principal components, of the windows that set the alarm, and of others."""
    data, numbers = setting.data, setting.config.code

    def score(features: Tensor) -> np.ndarray:
        return component_score(data.components, features, numbers).numpy()

    return score(data.calibration), {kind: score(own) for kind, own in windows.items()}


def _components_recall(setting: Detection) -> float:
    calibration, found = _by_components(setting, setting.data.validation.abuse)
    return float(np.mean([recalls(calibration[None], own[None], _RATES[0])[0] for own in found.values()]))


EXPERIMENTS = [
    experiment(
        "abuse-autoencoder",
        "Find spoofing, quote stuffing and wash trades as what cannot be reconstructed",
        autoencoder,
        reconstruction_error,
        autoencoder_score,
        0.6,
        AbuseConfig(epochs=10),
    ),
    experiment(
        "abuse-lstm",
        "Find spoofing, quote stuffing and wash trades as what was not foretold",
        forecaster,
        forecast_error,
        forecaster_score,
        0.55,
        AbuseConfig(epochs=5, hidden=(48,), learning_rate=5e-3),
    ),
]
