"""Proposals of Optuna, and the scores that it is told. Nothing else in the project imports Optuna.

Its journal in the folder of a search is all that a search needs to go on. A batch is proposed by what was told before
it alone, so that a search that was stopped goes on as if it had not been.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from agents.options import RunConfig
from agents.runs.search_space import Parameter

optuna.logging.set_verbosity(optuna.logging.WARNING)

State = Literal["open", "finished", "cut", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "open",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "cut",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Trial:
    """Proposed values, and the scores that they have had so far, by the env steps of training."""

    number: int
    state: State
    values: Mapping[str, Any]  # by the label of the parameter
    scores: Mapping[int, float]


class Proposals:
    """The trials of a search: what a tree-structured Parzen estimator proposes, and how it did.

    Args:
        path: of the journal, which is gone on with where it is there.
        space: what may be changed.
        untuned: the first proposal is what a search starts from, as far as it is in the space.
        seed: of the proposals.
    """

    def __init__(self, path: Path, space: Sequence[Parameter], untuned: RunConfig, seed: int) -> None:
        self._space = {parameter.label: _distribution(parameter) for parameter in space}
        self._seed = seed
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name="search",
            direction="maximize",
            load_if_exists=True,
        )
        if not self._study.trials:
            known = {one.label: value for one in space if (value := one.value_of(untuned)) is not None}
            self._study.enqueue_trial(known)

    def batch(self, start: int, stop: int) -> list[Trial]:
        """The trials with numbers from ``start`` to ``stop``, proposed now where they are not yet."""
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed + start)
        while sum(one.state != TrialState.WAITING for one in self._study.get_trials(deepcopy=False)) < stop:
            self._study.ask(self._space)
        for number in range(start, stop):
            if self._trial(number).state == "open" and self._trial(number).values.keys() != self._space.keys():
                self.fail(number)  # the search was killed while this one was proposed
        return [self._trial(number) for number in range(start, stop)]

    def report(self, number: int, env_steps: int, score: float) -> None:
        """Note the score of a trial after so many env steps."""
        frozen = self._frozen(number)
        if env_steps not in frozen.intermediate_values:
            optuna.trial.Trial(self._study, frozen._trial_id).report(score, env_steps)

    def finish(self, number: int, score: float) -> None:
        """A trial was trained to the end."""
        self._study.tell(number, score, skip_if_finished=True)

    def cut(self, number: int) -> None:
        """A trial is not worth more env steps."""
        self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)

    def fail(self, number: int) -> None:
        """A trial could not be trained."""
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def trials(self) -> list[Trial]:
        """All that were proposed."""
        states = {one.number: one.state for one in self._study.get_trials(deepcopy=False)}
        return [self._trial(number) for number, state in states.items() if state in _STATES]

    def importance(self, env_steps: int) -> dict[str, float]:
        """The share of each parameter in what tells the best tenth of the trials from the others; sums to 1.

        Source: Watanabe, Bansal and Hutter, "PED-ANOVA", IJCAI 2023.

        Args:
            env_steps: the scores after so many count.
        """
        scored = optuna.create_study(direction="maximize")
        for one in self._study.get_trials(deepcopy=False):
            if env_steps in one.intermediate_values:
                value = one.intermediate_values[env_steps]
                own = optuna.trial.create_trial(params=one.params, distributions=one.distributions, value=value)
                scored.add_trial(own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return optuna.importance.get_param_importances(scored)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _trial(self, number: int) -> Trial:
        one = self._frozen(number)
        return Trial(number, _STATES[one.state], one.params, one.intermediate_values)


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    if parameter.is_whole:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.is_log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.is_log)
