"""What a search may change: by default, and by ``--search``."""

import pytest

from agents.cli.tune import planned
from agents.dqn import DQNConfig
from agents.runs.search_folder import begin, read
from agents.runs.search_space import search_space


def space(*searched, named=(), **options):
    config = DQNConfig(env="CartPole-v1", **{"learning_rate": (1e-3,), "discount": (0.99,)} | options)
    return {one.name: one for one in search_space(config, searched, named)}


def test_what_may_differ_by_seed_is_searched_around_its_value():
    found = space(epsilon_end=(0.0,))
    assert found.keys() == {"learning_rate", "discount"}  # nothing is around nothing
    rate, discount = found["learning_rate"], found["discount"]
    assert (rate.low, rate.high, rate.is_log, rate.differs_by_seed) == (1e-4, 1e-2, True, True)
    assert rate.words(0.000123456) == ["--learning-rate", "0.000123"]
    assert (discount.low, discount.high, discount.label) == (0.001, 0.1, "1 - discount")
    assert discount.words(0.00123456) == ["--discount", "0.99877"]
    assert space(epsilon_end=(0.3,))["epsilon_end"].high == 1.0
    assert space(named=["discount", "learning_rate"]).keys() == {"epsilon_end"}
    with pytest.raises(ValueError, match="there is nothing to search"):
        space(named=["discount", "learning_rate", "epsilon_end"])


def test_ranges_and_choices_are_named():
    found = space("tau=0.001:0.1:log", "batch-size=16:64", "hidden=64 64,256", "dueling=true,false", "n-step=1,3")
    assert found["tau"].words(0.01) == ["--tau", "0.01"] and found["tau"].is_log and not found["tau"].is_whole
    assert found["batch_size"].words(20) == ["--batch-size", "20"] and found["batch_size"].is_whole
    assert found["hidden"].words("64 64") == ["--hidden", "64", "64"]
    assert found["dueling"].words("false") == ["--no-dueling"] and found["dueling"].words("true") == ["--dueling"]
    assert not any(found[name].differs_by_seed for name in ("tau", "batch_size", "hidden", "dueling", "n_step"))
    narrow = space("learning-rate=1e-3:2e-3")["learning_rate"]
    assert (narrow.low, narrow.high, narrow.is_log, narrow.differs_by_seed) == (1e-3, 2e-3, False, True)


def test_what_a_search_starts_from_is_proposed_where_it_may_be():
    config = DQNConfig(env="CartPole-v1", hidden=(64, 64), batch_size=128, tau=None, discount=(0.98,))
    asked = ["hidden=64 64,256", "batch-size=16:64", "tau=0.1:0.2", "dueling=true,false"]
    found = {one.name: one.value_of(config) for one in search_space(config, asked, [])}
    assert found["hidden"] == "64 64" and found["dueling"] == "false"
    assert found["batch_size"] is None and found["tau"] is None
    assert found["discount"] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("searched", "message"),
    [
        ("tau", "it is NAME=LOW:HIGH"),
        ("tua=0.1:0.2", "did you mean 'tau'"),
        ("seeds=1,2", "there is no option to search for 'seeds'"),
        ("env=A,B", "there is no option to search for 'env'"),
        ("tau=0.2:0.1", "a range is LOW:HIGH"),
        ("tau=low:high", "a range is LOW:HIGH"),
        ("tau=0.1:0.2:linear", "a range is LOW:HIGH"),
        ("tau=0:1:log", "begins above 0"),
        ("tau=0.1:inf", "a range is LOW:HIGH"),
        ("n-step=1.2:3.7", "--n-step takes whole numbers"),
        ("hidden=1:2", "of an option that takes a number"),
        ("n-step=3", "two values at least"),
        ("n-step=3,3", "and each once"),
        ("dueling=yes,no", "the choices are true,false"),
        ("discount=0.9:0.99", "--discount has a value and is searched for"),
    ],
)
def test_what_cannot_be_searched_is_refused(searched, message):
    with pytest.raises(ValueError, match=message):
        space(searched, named=["discount"])


def test_an_option_is_searched_for_once():
    with pytest.raises(ValueError, match="--tau is searched for twice"):
        space("tau=0.1:0.2", "tau=0.3:0.4")


WORDS = ["--env", "CartPole-v1", "--search", "n-step=1,3", "--seeds", "2", "--discount=0.9"]


def test_a_command_line_is_a_search(tmp_path):
    search = planned("dqn", WORDS, {"--runs": str(tmp_path), "--trials": "10"})
    assert search.folder == tmp_path / "tune-dqn-CartPole-v1"
    assert (search.trials, search.population, search.seeds, search.env_steps) == (10, 3, 2, 50_000)
    assert search.batches == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert search.options == ("--env", "CartPole-v1", "--discount", "0.9")
    assert {one.name for one in search.space} == {"learning_rate", "epsilon_end", "n_step"}
    with pytest.raises(ValueError, match="--discount has one value in a search"):
        planned("dqn", [*WORDS[:-1], "--discount=0.9,0.99"], {})
    with pytest.raises(ValueError, match="--search needs NAME=LOW:HIGH"):
        planned("dqn", [*WORDS, "--search"], {})
    with pytest.raises(ValueError, match="--tau must be at least 0 and at most 1, not 5"):
        planned("dqn", [*WORDS, "--search", "tau=0.5:5"], {})


def test_the_same_command_finds_its_search_and_another_is_refused(tmp_path):
    own = {"--runs": str(tmp_path), "--name": "a"}
    search = planned("dqn", WORDS, own)
    begin(search)
    begin(search)
    assert read(search.folder) == search
    with pytest.raises(ValueError, match=r"other settings \(final seeds was 10, now 3\): choose another --name, or"):
        begin(planned("dqn", WORDS, own | {"--final-seeds": "3"}))
    with pytest.raises(ValueError, match=r"other settings \(space\)"):
        begin(planned("dqn", [*WORDS, "--search", "tau=0.1:0.2"], own))
    (search.folder / "search.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        read(search.folder)
    (search.folder / "search.json").rename(search.folder / "notes")
    with pytest.raises(ValueError, match="is there already, and is no search"):
        begin(search)
    with pytest.raises(ValueError, match="is not a search"):
        read(search.folder)
