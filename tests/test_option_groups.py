"""Options are in groups in files and in --help, and flat in Python."""

import dataclasses
import re
from dataclasses import dataclass

import pytest

from agents.options import NetworkOptions, RunConfig
from agents.ppo import PPOConfig
from agents.r2d2 import R2D2Config
from agents.reinforce import ReinforceConfig
from rlsuite.option_groups import Options, flat, from_command_line, groups, nested


@dataclass(frozen=True, kw_only=True)
class MemoryOptions(Options, group="memory"):
    slots: int = 3
    """Slots of the memory,
    in slots."""


@dataclass(frozen=True, kw_only=True)
class OwnConfig(RunConfig, NetworkOptions, MemoryOptions):
    """A method of one's own."""

    rate: float = 0.5
    """Rate of learning, per update."""
    hidden: tuple[int, ...] = (8,)
    slots: int = 4


def test_a_field_is_in_the_group_of_the_class_that_declared_it_first():
    found = groups(OwnConfig)
    assert list(found) == ["environment", "run", "method", "memory", "network", "evaluation", "system", "tracking"]
    assert found["method"] == ["rate"] and found["memory"] == ["slots"]
    assert found["network"] == ["encoder", "hidden", "encoder_precision"]
    found = groups(R2D2Config)
    assert {"n_step", "batch_size"} <= set(found["replay"]) and "burn_in_env_steps" in found["sequences"]
    assert found["method"][0] == "learning_rate" and "discount" in found["method"]


@pytest.mark.parametrize("kind", [PPOConfig, ReinforceConfig, R2D2Config])
def test_options_of_the_network_are_among_its_group(kind):
    assert not {"activation", "memory", "memory_units"} & set(groups(kind)["method"])


@dataclass(frozen=True)
class Plain:
    place: str
    """Where."""
    limit: int | None = None
    """How far; by default without end."""
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    """Of things."""
    count: int = 3
    """How many."""


@pytest.mark.parametrize("default", [None, Plain("here", count=4)])
def test_a_value_that_is_left_open_is_not_shown_as_a_default(default, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert from_command_line(Plain, ["--place", "there"], "look.py", default).place == "there"
    with pytest.raises(SystemExit):
        from_command_line(Plain, ["--help"], "look.py", default)
    told = capsys.readouterr().out
    assert re.findall(r"\(default: ?(.*?)\)", told) == (["3"] if default is None else ["here", "4"])
    assert "by default without end" in told and "Plain(" not in told


@pytest.mark.parametrize("kind", [OwnConfig, R2D2Config])
def test_every_option_is_in_one_group_and_comes_back(kind):
    config = kind(env="a", seeds=2)
    names = [name for members in groups(kind).values() for name in members]
    assert sorted(names) == sorted(field.name for field in dataclasses.fields(kind))
    assert kind(**flat(kind, nested(config))) == config


def test_the_command_line_is_flat_and_its_help_has_a_box_for_each_group(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    default = OwnConfig(env="a", rate=0.25)
    found = from_command_line(OwnConfig, ["--slots", "7", "--hidden", "3", "2"], "train.py own", default)
    assert found == OwnConfig(env="a", rate=0.25, slots=7, hidden=(3, 2))
    with pytest.raises(SystemExit):
        from_command_line(OwnConfig, ["--help"], "train.py own", default)
    told = capsys.readouterr().out
    assert "A method of one's own." in told and "0.25" in told
    assert re.findall(r"(\w+) options\b", told) == list(groups(OwnConfig))
    assert "Slots of the memory, in slots. (default: 4)" in told
    with pytest.raises(SystemExit):
        from_command_line(OwnConfig, ["--rate", "fast"], "train.py own", default)
    with pytest.raises(SystemExit):
        from_command_line(OwnConfig, [], "train.py own")
    assert "--env" in capsys.readouterr().err
