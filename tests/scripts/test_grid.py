"""From a command line with lists of values to runs."""

import pytest

from agents.cli.grid import grid


def names(*words):
    return [cell.name for cell in grid(*words)]


def test_runs_are_agents_times_environments_times_settings():
    words = ["--env", "rlsuite/CartPole-v1,Acrobot-v1", "--discount=0.9", "--hidden", "16", "16", "--device", "cpu"]
    cells = grid("dqn,ppo", words)
    assert [(cell.name, cell.config.env) for cell in cells] == [
        ("dqn-rlsuite-CartPole-v1", "rlsuite/CartPole-v1"),
        ("dqn-Acrobot-v1", "Acrobot-v1"),
        ("ppo-rlsuite-CartPole-v1", "rlsuite/CartPole-v1"),
        ("ppo-Acrobot-v1", "Acrobot-v1"),
    ]
    assert all(cell.config.hidden == (16, 16) and cell.config.discount == (0.9,) for cell in cells)
    cells = grid("dqn", ["--env", "CartPole-v1", "--batch-size", "32", "--execution", "eager,compile"])
    assert [(cell.config.batch_size, cell.config.execution) for cell in cells] == [(32, "eager"), (32, "compile")]
    assert cells[0].name == "dqn-CartPole-v1-execution-eager"


def test_what_may_differ_by_seed_becomes_one_population_with_all_seeds_of_each_setting():
    (cell,) = grid(
        "dqn", ["--env", "CartPole-v1", "--learning-rate=1e-3,3e-4", "--discount", "0.9,0.99", "--seeds", "2"]
    )
    config = cell.config
    assert config.seeds == 8 and cell.options.count("--seeds") == 1
    assert config.learning_rate == (1e-3,) * 4 + (3e-4,) * 4
    assert config.discount == (0.9, 0.9, 0.99, 0.99) * 2


def test_options_that_are_lists_themselves_are_left_alone():
    (cell,) = grid("ppo", ["--env", "CartPole-v1", "--resize", "84,60", "--env-kwargs", "render_mode=a,b"])
    assert cell.config.resize == (84, 60) and cell.config.env_kwargs == {"render_mode": "a,b"}


def test_a_value_named_twice_and_a_lone_word_are_refused():
    with pytest.raises(ValueError, match="two runs of the sweep are the same, dqn-CartPole-v1-batch-size-32"):
        grid("dqn", ["--env", "CartPole-v1", "--batch-size", "32,32"])
    with pytest.raises(ValueError, match="'CartPole-v1' is no option"):
        grid("dqn", ["CartPole-v1"])
    with pytest.raises(ValueError, match="did you mean 'dqn'"):
        grid("dqnn", ["--env", "CartPole-v1"])
