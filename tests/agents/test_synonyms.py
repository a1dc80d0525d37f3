"""Another library's name of an option is answered with ours."""

import dataclasses

import pytest

from agents.cli.train import parse
from agents.runs import synonyms
from agents.runs.registry import config_class, names
from agents.runs.synonyms import refuse_synonym
from agents.runs.trained import configuration

OPTIONS = {agent: {field.name for field in dataclasses.fields(config_class(agent))} for agent in names()}


@pytest.mark.parametrize(
    ("agent", "typed", "ours"),
    [
        ("ppo", "--gamma", "--discount"),
        ("ppo", "--gae-lambda=0.9", "--trace"),
        ("ppo", "--n_steps", "--rollout-env-steps, the env steps of all environments of a seed together"),
        ("dqn", "--n-steps", "--n-step"),
        ("dqn", "--lr", "--learning-rate"),
        ("td3", "--lr", "--actor-learning-rate and --critic-learning-rate"),
        ("sac", "--learning-rate", "--actor-learning-rate and --critic-learning-rate"),
        ("a2c", "--ent-coef", "--entropy-weight"),
        ("sac", "--ent-coef", "--temperature and --temperature-learning-rate"),
        ("ppo", "--batch-size", "--minibatches, the number of parts of a rollout, not their size"),
        ("a2c", "--batch-size", "--rollout-env-steps, the env steps of all environments of a seed together"),
    ],
)
def test_the_command_line_names_ours(agent, typed, ours):
    with pytest.raises(ValueError) as error:
        parse([agent, "--env", "-", typed, "3"])
    assert str(error.value) == f"{agent} has no option {typed.partition('=')[0].replace('_', '-')}: here it is {ours}"


def test_python_names_ours_as_python_does():
    with pytest.raises(ValueError, match="^ppo has no option 'gamma': here it is 'discount'$"):
        configuration("ppo", {"env": "CartPole-v1", "gamma": 0.9})


@pytest.mark.parametrize(
    ("agent", "name"), [("dqn", "batch_size"), ("alphazero", "ent_coef"), ("dqn", "gae_lambda"), ("a2c", "n_epochs")]
)
def test_only_options_that_an_agent_has_are_named(agent, name):
    refuse_synonym(agent, config_class(agent), name)


def test_ours_are_options():
    for name, choices in synonyms._OURS.items():
        for ours in choices:
            assert any(options.issuperset(ours) and name not in options for options in OPTIONS.values()), (name, ours)
