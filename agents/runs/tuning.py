"""Search for the values of options that an agent learns best with.

Trials are proposed in batches. Those of a batch that differ only in what may differ by seed train as one population.
The best third of a batch goes on three times as long, and so on up a few rungs (successive halving, Jamieson and
Talwalkar, 2016). It begins anew with other seeds, so that schedules are whole and a lucky seed does not count twice. In
the end the best trial is trained with fresh seeds, beside the values that the search started from.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.options import RunConfig
from agents.runs import sweeping
from agents.runs.comparing import compare
from agents.runs.importance import draw
from agents.runs.proposals import Proposals, Trial
from agents.runs.search_folder import FACTOR, Search
from agents.runs.sweep_folder import Hosts, Member, Sweep, begin
from agents.runs.tuned_preset import preset_text
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.tracking.notices import without
from rlsuite.tracking.text import number_text

_EVALUATIONS = 8  # of a run, unless the command line says how often
_BEST_SHOWN = 5


class Stopped(Exception):
    """The search was asked to stop."""


@dataclass(frozen=True)
class Population:
    """Trials that train as one run, each with seeds of its own."""

    name: str
    trials: tuple[Trial, ...]
    seed: int  # the first
    env_steps: int


@dataclass(frozen=True)
class Tuning:
    """A search at work.

    Args:
        search: how it was called.
        parse: the configuration that options of ``train`` make.
        hosts: where runs take place, for each sweep anew.
    """

    search: Search
    parse: Callable[[Sequence[str]], RunConfig]
    hosts: Callable[[], Hosts]

    def run(self) -> None:
        """Search, and show the result.

        Raises:
            Stopped: by Ctrl-C; called again, the search goes on.
            ValueError: no trial could be trained.
        """
        search = self.search
        untuned = self.parse(search.options)
        with run_folder.locked(search.folder):
            proposals = Proposals(search.folder / "proposals.journal", search.space, untuned, search.seed)
            for number, (start, stop) in enumerate(search.batches):
                trials = proposals.batch(start, stop)
                if any(trial.state == "open" for trial in trials):
                    self._judge(proposals, number, trials)
                if all(trial.state == "failed" for trial in proposals.trials()):
                    break  # the preset too: others would fail as well
            best = self._best_first(proposals)
            if not best:
                raise ValueError(f"no trial of {search.folder} could be trained: see the .log files in its folders")
            self._show(proposals, best)
            self._confirm(best[0])

    @property
    def lengths(self) -> list[int]:
        """Env steps of each rung."""
        return [self.search.env_steps // FACTOR**k for k in reversed(range(self.search.rungs))]

    def _judge(self, proposals: Proposals, number: int, trials: list[Trial]) -> None:
        """Train a batch up the rungs, and say how each trial did."""
        left = [trial for trial in trials if len(trial.values) == len(self.search.space)]
        for rung, env_steps in enumerate(self.lengths):
            folder = self.search.folder / f"batch-{number + 1}-rung-{rung + 1}"
            first = self.search.population * (number * self.search.rungs + rung)
            scores = self._scores(folder, self._populations(left, first, env_steps))
            for trial in left:
                if trial.number in scores:
                    proposals.report(trial.number, env_steps, scores[trial.number])
                else:
                    proposals.fail(trial.number)
            scored = [trial for trial in left if trial.number in scores]
            left = sorted(scored, key=lambda one: (-scores[one.number], one.number))
            if rung + 1 < self.search.rungs:
                keep = -(-len(left) // FACTOR)
                for trial in left[keep:]:
                    proposals.cut(trial.number)
                left = left[:keep]
        for trial in left:
            proposals.finish(trial.number, scores[trial.number])

    def _populations(self, trials: Sequence[Trial], first: int, env_steps: int) -> list[Population]:
        """Trials by what cannot differ by seed; ``first`` counts all trials that have had seeds."""
        groups: dict[str, list[Trial]] = {}
        for trial in sorted(trials, key=lambda one: one.number):
            fixed = [one.words(trial.values[one.label]) for one in self.search.space if not one.differs_by_seed]
            called = "-".join("-".join(words).strip("-") for words in fixed) or "population"
            groups.setdefault(re.sub(r"[^\w.+-]+", "-", called), []).append(trial)
        found = []
        for name, own in groups.items():
            found.append(Population(name, tuple(own), self.search.seed + first * self.search.seeds, env_steps))
            first += len(own)
        return found

    def _scores(self, folder: Path, populations: list[Population]) -> dict[int, float]:
        """The scores of trials by their numbers, without those that fail.

        A population that fails is halved until a trial fails alone: with a loss that is not finite, for example.
        """
        halves = folder.with_name(f"{folder.name}-halves")
        members = [self._member(population) for population in populations]
        sweep = begin(folder, members)
        if not halves.exists() and any(not one.finished for one in sweep.members):
            self._run(sweep)
        scores: dict[int, float] = {}
        again: list[Population] = []
        for one, population in zip(sweep.members, populations, strict=True):
            if one.finished:
                scores |= self._read(folder / one.name, population)
            elif len(population.trials) > 1:
                again += self._halved(population)
        return scores | (self._scores(halves, again) if again else {})

    def _halved(self, population: Population) -> list[Population]:
        middle = len(population.trials) // 2
        later = population.seed + middle * self.search.seeds
        return [
            Population(f"{population.name}-a", population.trials[:middle], population.seed, population.env_steps),
            Population(f"{population.name}-b", population.trials[middle:], later, population.env_steps),
        ]

    def _member(self, population: Population) -> Member:
        own = [[one.words(trial.values[one.label]) for trial in population.trials] for one in self.search.space]
        words = ["--final-episodes", "0", "--no-video"]
        for parameter, each in zip(self.search.space, own, strict=True):
            option, *values = each[0]
            if parameter.differs_by_seed:
                values = [",".join(value for _, value in each for _ in range(self.search.seeds))]
            words += [option, *values]
        seeds = self.search.seeds * len(population.trials)
        return self._run_of(population.name, words, population.env_steps, seeds, population.seed)

    def _run_of(self, name: str, words: Sequence[str], env_steps: int, seeds: int, seed: int) -> Member:
        options = ["--evaluate-every-env-steps", str(max(1, env_steps // _EVALUATIONS)), *self.search.options, *words]
        options += ["--total-env-steps", str(env_steps), "--seeds", str(seeds), "--seed", str(seed)]
        return sweeping.member(name, self.search.agent, options, self.parse(options))

    def _words(self, trial: Trial) -> list[str]:
        return [word for one in self.search.space for word in one.words(trial.values[one.label])]

    def _run(self, sweep: Sweep) -> None:
        if "stopped" in sweeping.run(sweep, self.hosts()):
            raise Stopped

    def _read(self, run: Path, population: Population) -> dict[int, float]:
        """The mean evaluation of each trial in the second half of its run, over its seeds."""
        series = read_metrics(run / "metrics.jsonl").get("evaluation/score")
        if series is None:
            raise ValueError(f"{os.path.relpath(run)} has no evaluation: --evaluate-every-env-steps is too large")
        late = series.values[:, series.env_steps > population.env_steps / 2]
        own = (late if late.size else series.values[:, -1:]).mean(axis=1)
        each = np.broadcast_to(own, len(population.trials) * self.search.seeds).reshape(len(population.trials), -1)
        return {one.number: float(score) for one, score in zip(population.trials, each.mean(axis=1), strict=True)}

    def _best_first(self, proposals: Proposals) -> list[Trial]:
        finished = [one for one in proposals.trials() if one.state == "finished"]
        return sorted(finished, key=lambda one: -one.scores[self.search.env_steps])

    def _show(self, proposals: Proposals, best: Sequence[Trial]) -> None:
        """Print the best trials, and draw how all did by each option."""
        table = Table(title="the best trials, each by luck too", title_justify="left", box=None)
        for column in ("trial", "score", "options"):
            table.add_column(column, justify="left" if column == "options" else "right")
        for one in best[:_BEST_SHOWN]:
            table.add_row(str(one.number), number_text(one.scores[self.search.env_steps]), " ".join(self._words(one)))
        Console(highlight=False).print(table)
        with without("figure of importance"):
            out = self.search.folder / "importance.png"
            first = self.lengths[0]
            title = f"{self.search.trials} trials by importance of options (orange: trained to the end)"
            draw(out, proposals.trials(), self.search.space, proposals.importance(first), first, title)
            print(f"written to {os.path.relpath(out)}")

    def _confirm(self, best: Trial) -> None:
        """Train the best trial with fresh seeds beside the values that the search started from; print its preset."""
        search = self.search
        fresh = search.seed + len(search.batches) * search.population * search.rungs * search.seeds
        tuned = self._run_of("tuned", self._words(best), search.env_steps, search.final_seeds, fresh)
        members = [tuned, self._run_of("untuned", [], search.env_steps, search.final_seeds, fresh)]
        if self.parse(members[0].options) == self.parse(members[1].options):
            print("no trial was better than the values that the search started from")
            members.pop()
        sweep = begin(search.folder / "final", members)
        if not all(one.finished for one in sweep.members):
            self._run(sweep)
        finished = [sweep.folder / one.name for one in sweep.members if one.finished]
        if not finished:
            raise ValueError(f"the final runs failed: see the .log files in {os.path.relpath(sweep.folder)}")
        compare([Path(os.path.relpath(one)) for one in finished], Path(os.path.relpath(search.folder / "final.png")))
        pasted = self.parse([*search.options, *self._words(best), "--total-env-steps", str(search.env_steps)])
        text = preset_text(search.agent, pasted, [_result(one) for one in finished])
        (search.folder / "preset.py").write_text(text, encoding="utf-8")
        print(f"\n{text}\nwritten to {os.path.relpath(search.folder / 'preset.py')}")


def _result(run: Path) -> str:
    """The final evaluation of a run in a line."""
    try:
        report = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{run.name}: not evaluated"
    low, high = report["ci95"]
    seeds = f"{len(report['seeds'])} seeds that the search had not seen"
    interval = f"95 % interval {number_text(low)} .. {number_text(high)}"
    return f"{run.name}: IQM {number_text(report['iqm'])}, {interval} over {seeds}"
