"""Presets fit the configurations of their agents, or are refused by name."""

from pathlib import Path

import pytest

from agents.cli.train import parse
from agents.runs.presets import preset
from agents.runs.registry import config_class, find, names

PRESETS = [(agent, name) for agent in names() for name in find(agent).presets()]
OWN = '''
from dataclasses import dataclass
from agents.options import RunConfig
from rlsuite.agent import AgentSpec

@dataclass(frozen=True, kw_only=True)
class OwnConfig(RunConfig):
    """A method of one's own."""

    rate: float = 0.5

SPEC = AgentSpec("own", OwnConfig, None, learns_from="replay")
'''


@pytest.fixture
def own(tmp_path: Path):
    def write(presets: str) -> str:
        (tmp_path / "own.py").write_text(OWN + presets)
        return str(tmp_path / "own.py")

    return write


@pytest.mark.parametrize(("agent", "name"), PRESETS)
def test_each_preset_fits_its_agent(agent: str, name: str) -> None:
    config = config_class(agent)(env="CartPole-v1", **preset(agent, "CartPole-v1", name))
    assert config.preset == name
    if "minibatches" in vars(config):
        windows = config.rollout_env_steps // config.window_env_steps
        assert windows % config.minibatches == 0 == windows % config.num_envs


def test_each_file_of_presets_is_of_an_agent() -> None:
    files = {path.stem for path in Path(find("dqn").path.parent, "presets").glob("*.py")} - {"__init__", "economies"}
    assert {find(agent).path.stem for agent, _ in PRESETS} == files
    assert preset("r2d2", "Acrobot-v1") == {"preset": "none"}


def test_a_preset_is_chosen_and_named_and_what_the_command_line_names_wins(own) -> None:
    path = own("PRESETS = {'CartPole': {'rate': 0.25, 'seeds': 2}, 'slow': {'rate': 0.125}}\n")
    for options, expected in (
        (["CartPole-v1"], (0.25, 2, "CartPole")),
        (["CartPole-v1", "--preset", "auto"], (0.25, 2, "CartPole")),
        (["CartPole-v1", "--rate", "1", "--preset", "slow"], (1.0, 1, "slow")),
        (["CartPole-v1", "--preset", "none"], (0.5, 1, "none")),
        (["Pendulum-v1"], (0.5, 1, "none")),
    ):
        _, config = parse([path, "--env", *options])
        assert (config.rate, config.seeds, config.preset) == expected
    with pytest.raises(ValueError, match="there is no preset of own 'slw': did you mean 'slow'"):
        parse([path, "--env", "CartPole-v1", "--preset", "slw"])


def test_a_period_that_is_named_is_not_overruled_by_a_presets_tau() -> None:
    _, config = parse(["dqn", "--env", "CartPole-v1", "--target-period-updates=100"])
    assert (config.target_period_updates, config.tau, config.preset) == (100, None, "CartPole")
    assert parse(["dqn", "--env", "CartPole-v1"])[1].tau == 0.005
    assert parse(["dqn", "--env", "CartPole-v1", "--target-period-updates", "100", "--tau", "0.1"])[1].tau == 0.1


def test_arguments_of_the_environment_are_named_one_by_one() -> None:
    game = ["alphazero", "--env", "rlsuite/ConnectFour-v0"]
    assert parse([*game, "--env-kwargs", "depth=2"])[1].env_kwargs == {"opponent": "minimax", "depth": 2}
    assert parse([*game, "--env-kwargs", "opponent=random"])[1].env_kwargs == {"opponent": "random"}


def test_presets_that_need_what_the_configuration_does_not_are_found_too(own) -> None:
    path = own("import torch\nPRESETS = {'CartPole': {'rate': float(torch.tensor(0.25))}}\n")
    assert preset(path, "CartPole-v1")["rate"] == 0.25


@pytest.mark.parametrize(
    ("presets", "complaint"),
    [
        ("{'CartPole': {'rat': 1.0}}", "preset 'CartPole' of own: there is no option 'rat': did you mean 'rate'"),
        ("{'CartPole': {'rate': '1'}}", "preset 'CartPole' of own: --rate must be a number, not '1'"),
        ("{'CartPole': {'seeds': 0}}", "preset 'CartPole' of own: --seeds must be at least 1, not 0"),
        ("{'CartPole': 3}", "preset 'CartPole' of own must name options and their values, not be 3"),
        ("[3]", "PRESETS must give names their option values"),
    ],
)
def test_a_mistake_in_a_preset_names_the_preset(own, presets: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        preset(own(f"PRESETS = {presets}\n"), "CartPole-v1")
    assert complaint in str(caught.value)
