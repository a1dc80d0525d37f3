"""Configurations refuse what their annotations exclude, wherever it comes from."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.reinforce import ReinforceConfig
from rlsuite.configuration import from_json
from rlsuite.deqn.config import EquilibriumConfig, SolverConfig
from rlsuite.option_groups import Options, groups, nested
from rlsuite.supervised.config import SupervisedConfig

CONFIGS = [
    DQNConfig(env="CartPole-v1", env_kwargs={"sutton_barto_reward": True}, learning_rate=(1e-3, 1e-4)),
    DDPGConfig(env="Pendulum-v1", total_env_steps=7),
    ReinforceConfig(env="CartPole-v1", target_return=475.0),
    SolverConfig(),
    SupervisedConfig(epochs=1, batch_size=2, learning_rate=1e-3),
]
FILE = Path("runs/a/config.json")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def stored(config):
    return json.loads(json.dumps(nested(config) if isinstance(config, Options) else dataclasses.asdict(config)))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_configuration_comes_back_from_json_as_it_was(config):
    assert from_json(type(config), stored(config), FILE) == config


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_file_is_refused_in_a_line_or_is_a_configuration_of_the_right_types(data):
    config = data.draw(st.sampled_from(CONFIGS))
    values = stored(config)
    group = data.draw(st.sampled_from(sorted(groups(type(config))))) if isinstance(config, Options) else None
    entries = values if group is None else values[group]
    name = data.draw(st.sampled_from(sorted(entries)))
    entries[name] = data.draw(json_values)
    try:
        found = from_json(type(config), values, FILE)
    except ValueError as error:
        assert str(error).startswith("runs/a/config.json is damaged or of another version: ")
        assert "\n" not in str(error) and len(str(error)) < 400
        return
    value, before = getattr(found, name), getattr(config, name)
    if before is not None and value is not None and not isinstance(before, float):
        assert type(value) is type(before)
    for number in value if isinstance(value, tuple) else (value,):
        assert not isinstance(number, float) or math.isfinite(number)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seeds": "3"}, "--seeds must be a whole number, not '3'"),
        ({"seeds": 3.0}, "--seeds must be a whole number, not 3.0"),
        ({"seeds": True}, "--seeds must be a whole number, not True"),
        ({"seed": 2**63}, "--seed must be at least 0 and at most"),
        ({"seed": 2**63 - 1, "seeds": 2}, "--seed 9223372036854775807 is too large for --seeds 2"),
        ({"video": 1}, "--video must be true or false, not 1"),
        ({"learning_rate": [1e-3, math.nan]}, "--learning-rate must be finite, not nan"),
        ({"learning_rate": 1e-3}, "--learning-rate needs at least one number, not 0.001"),
        ({"learning_rate": ["a"]}, "--learning-rate must be a number, not 'a'"),
        ({"target_return": math.inf}, "--target-return must be finite, not inf"),
        ({"target_return": 10**400}, "--target-return must be finite"),
        ({"checkpoint_every_seconds": math.inf}, "--checkpoint-every-seconds must be finite"),
        ({"hidden": []}, "--hidden needs at least one number, not ()"),
        ({"hidden": [8, None]}, "--hidden must be a whole number, not None"),
        ({"execution": "fast"}, "--execution must be auto, eager, compile or graph, not 'fast'"),
        ({"name": 5}, "--name must be a text, not 5"),
        ({"env_kwargs": [1]}, "--env-kwargs must be names with values, not (1,)"),
        ({"replay": 3}, "its group 'replay' is not an object"),
        ({"replay": {"colour": "red"}}, "it names 'colour', which this version does not know"),
        ({"colour": "red", "size": 1}, "it names 'colour', 'size', which this version does not know"),
    ],
)
def test_each_kind_of_mistake_is_named(change, complaint):
    with pytest.raises(ValueError) as caught:
        from_json(DQNConfig, stored(CONFIGS[0]) | change, FILE)
    assert complaint in str(caught.value)


def test_what_is_missing_is_named_and_defaults_are_said(caplog):
    values = stored(CONFIGS[0])
    del values["environment"]["num_envs"]
    assert from_json(DQNConfig, values, FILE) == CONFIGS[0]
    assert "num_envs" in caplog.text
    del values["environment"]["env"]
    with pytest.raises(ValueError, match="it lacks 'env'"):
        from_json(DQNConfig, values, FILE)
    for nothing in (None, [], "text", 3):
        with pytest.raises(ValueError, match="instead of an object"):
            from_json(DQNConfig, nothing, FILE)


def test_a_configuration_within_another_is_checked_too():
    good = {"model": "growth", "calibration": "log", "seeds": [0], "solver": SolverConfig()}
    assert from_json(EquilibriumConfig, good, FILE).seeds == (0,)
    with pytest.raises(ValueError, match="--solver must be a SolverConfig, not 5"):
        from_json(EquilibriumConfig, good | {"solver": 5}, FILE)
    with pytest.raises(ValueError, match="--seeds must be at least 0"):
        from_json(EquilibriumConfig, good | {"seeds": [-1]}, FILE)
