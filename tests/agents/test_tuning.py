"""A search: what is trained, what goes on, and what the result is; skipped without Optuna."""

import io
import json
import math
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from agents.cli.grid import paired
from agents.cli.train import parse
from agents.cli.tune import planned
from agents.dqn import DQNConfig
from agents.runs import sweeping, tuning
from agents.runs.proposals import Proposals
from agents.runs.search_folder import begin
from agents.runs.sweep_folder import Event
from agents.runs.tuning import Stopped, Tuning

LARGEST_RATE = 3e-3  # beyond it, learning diverges


class Scored:
    """Hosts that write evaluations in place of training: the better, the nearer a learning rate is to 1e-3."""

    trained: list  # configurations of all runs
    runs_left: int

    def begin(self, sweep, members):
        self._sweep, self._members = sweep, list(members)

    def poll(self):
        events = []
        while self._members:
            member = self._members.pop(0)
            config = configured(member.options)
            Scored.trained.append((member.name, config))
            if max(config.learning_rate) > LARGEST_RATE:
                events.append(Event(member.name, "failed", "a loss is not finite"))
                continue
            Scored.runs_left -= 1
            if Scored.runs_left < 0:
                events.append(Event(member.name, "stopped"))
                continue
            scores = [-abs(math.log10(rate) + 3) for rate in config.learning_rate]
            lines = [
                {"env_steps": k * config.total_env_steps // 8, "updates": 0, "wall_seconds": 0, "evaluation/score": own}
                for k, own in ((1, [9.0] * len(scores)), (7, scores), (8, scores))
            ]
            folder = self._sweep.folder / member.name
            folder.mkdir()
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            events.append(Event(member.name, "finished"))
        return events

    def stop(self):
        pass

    def close(self):
        pass


@pytest.fixture(autouse=True, scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "_POLL_SECONDS", 0.0)
        patch.setattr(tuning, "compare", lambda folders, out: None)
        yield


UNTUNED = parse(["dqn", "--env", "rlsuite/CartPole-v1", "--device", "cpu"])[1]


def configured(options):
    """As ``train`` reads them, without a parser's second for each run."""
    changes = {}
    for name, values in paired(list(options)):
        field, (value,) = name.strip("-").replace("-", "_"), values or [""]
        own = getattr(UNTUNED, field.removeprefix("no_"))
        if isinstance(own, bool):
            changes[field.removeprefix("no_")] = field == field.removeprefix("no_")
        elif isinstance(own, tuple):
            changes[field] = tuple(map(float, value.split(",")))
        else:
            changes[field] = value if isinstance(own, str) else int(value)
    return replace(UNTUNED, **changes)


def search_in(folder: Path, *words: str, trials: int = 12, population: int = 6):
    words = ["--env", "rlsuite/CartPole-v1", "--seeds", "2", "--total-env-steps", "900", "--device", "cpu", *words]
    search = planned("dqn", words, {"--runs": str(folder), "--trials": str(trials), "--population": str(population)})
    begin(search)
    return search


def run(search, runs: int = 1_000):
    Scored.trained, Scored.runs_left = [], runs
    Tuning(search, configured, Scored).run()


def trials_of(search):
    return Proposals(search.folder / "proposals.journal", search.space, UNTUNED, search.seed).trials()


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    search = search_in(tmp_path_factory.mktemp("a"), "--search", "batch-size=32,64", "learning-rate=1e-4:1e-2:log")
    with redirect_stdout(io.StringIO()) as said:
        run(search)
    return search, trials_of(search), Scored.trained, said.getvalue()


def test_trials_that_may_differ_by_seed_are_one_population_and_the_best_third_goes_on(searched):
    _, trials, trained, _ = searched
    short = [config for _, config in trained if config.total_env_steps == 300]
    assert {config.batch_size for config in short} == {32, 64} and max(config.seeds for config in short) >= 6
    for config in short:  # two seeds of each trial side by side
        assert config.learning_rate[::2] == config.learning_rate[1::2]
    assert len(trials) == 12 and trials[0].values["learning-rate"] == 5e-4  # of the preset
    for batch in (trials[:6], trials[6:]):
        scored = sorted((one for one in batch if one.state != "failed"), key=lambda one: -one.scores[300])
        keep = -(-len(scored) // 3)
        assert [one.state for one in scored] == ["finished"] * keep + ["cut"] * (len(scored) - keep)
        assert all((900 in one.scores) == (one.state == "finished") for one in scored)


def test_a_trial_that_fails_is_found_and_the_others_of_its_population_are_trained(searched):
    _, trials, _, said = searched
    for one in trials:
        assert (one.state == "failed") == (one.values["learning-rate"] > LARGEST_RATE)
        if one.state != "failed":  # early evaluations do not count
            assert one.scores[300] == pytest.approx(-abs(math.log10(one.values["learning-rate"]) + 3), abs=1e-2)
    assert any(one.state == "failed" for one in trials) and "failed, a loss is not finite" in said


def test_the_best_is_trained_with_fresh_seeds_beside_the_preset_and_can_be_pasted(searched):
    search, trials, trained, said = searched
    final = dict(trained[-2:])
    before = {seed for _, one in trained[:-2] for seed in range(one.seed, one.seed + one.seeds)}
    assert final.keys() == {"tuned", "untuned"}
    for config in final.values():
        assert config.seeds == 10 and config.total_env_steps == 900
        assert not before & set(range(config.seed, config.seed + config.seeds))
    best = max((one for one in trials if one.state == "finished"), key=lambda one: one.scores[900])
    assert final["tuned"].learning_rate == (pytest.approx(best.values["learning-rate"], rel=1e-2),)
    assert final["untuned"].learning_rate == (5e-4,)
    found = {}
    exec((search.folder / "preset.py").read_text(), found)
    pasted = DQNConfig(env="rlsuite/CartPole-v1", **found["PRESETS"]["CartPole"])
    assert (pasted.learning_rate, pasted.batch_size) == (final["tuned"].learning_rate, final["tuned"].batch_size)
    assert (pasted.total_env_steps, pasted.hidden, pasted.seeds) == (900, (128, 128), 1)
    assert (search.folder / "importance.png").stat().st_size > 10_000 and "the best trials" in said


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    monkeypatch.setattr(Tuning, "_show", lambda self, proposals, best: None)
    whole, search = (search_in(tmp_path / name, trials=6, population=3) for name in ("whole", "parts"))
    run(whole)
    expected, found = trials_of(whole), []
    for _ in range(4 * len(expected)):
        with suppress(Stopped):
            run(search, runs=1)
            found = trials_of(search)
            break
    assert [(one.values, one.scores, one.state) for one in found] == [
        (one.values, one.scores, one.state) for one in expected
    ]


def test_a_search_without_a_trial_that_can_be_trained_says_so(tmp_path):
    search = search_in(tmp_path, "--search", "learning-rate=5e-3:1e-2:log", trials=2)
    with pytest.raises(ValueError, match="no trial of .* could be trained: see the .log files"):
        run(search)
