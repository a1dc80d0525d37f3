"""An agent in a person's own file: from training to comparison, and the line that each mistake in it gets."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents.runs.comparing import compare
from agents.runs.evaluating import evaluate_run
from agents.runs.registry import config_class
from agents.runs.run import Run, open_run
from agents.runs.training import resume_run, train
from agents.runs.watching import record
from rlsuite.tracking.jsonl import read_metrics
from rlsuite.training.trainer import TrainingError

TALLY = '''
"""A person's own agent: linear values of what is seen and of a fading trace of it, from prioritised sequences."""

from dataclasses import dataclass

import torch

from agents.options import SequenceConfig
from rlsuite.agent import Acted, AgentSpec, TensorSpec
from rlsuite.configuration import Positive


@dataclass(frozen=True, kw_only=True)
class TallyConfig(SequenceConfig):
    """Values from a fading trace."""

    step_size: Positive = 0.01
    """Of gradient descent."""
    replay_priority_exponent: float = 0.9


class Tally:
    acts_in = "Discrete"

    def __init__(self, config, observation_space, action_space, seeds, device="cpu"):
        self.config, (size,) = config, observation_space.shape
        self.seeds = torch.tensor(seeds)
        self.weights = 0.1 * (1 + self.seeds).reshape(-1, 1, 1) * torch.ones(len(seeds), 2 * size, int(action_space.n))
        self.extras = {"trace": TensorSpec((size,))}

    def initial_state(self, num_envs):
        return {"trace": torch.zeros(len(self.seeds), num_envs, self.extras["trace"].shape[0])}

    def values(self, observation, trace):
        return torch.cat([observation, trace], dim=-1) @ self.weights

    def act(self, observation, state, began, env_step, *, explore):
        trace = torch.where(began.unsqueeze(-1), 0.0, state["trace"])
        values = self.values(observation, trace)
        chosen = values.argmax(dim=-1)
        if explore:
            chosen = (chosen + (env_step // 3)) % values.shape[-1]
        return Acted(chosen, {"trace": 0.5 * trace + observation}, {"trace": trace})

    def update(self, batch):
        observation, trace = batch.observation[:, :, 0], batch.extras["trace"]
        seen = torch.cat([observation, trace], dim=-1)  # [S, B, 2F]
        values = seen @ self.weights
        action = batch.action[:, :, :1]
        error = (batch.reward[:, :, 0] - values.gather(-1, action).squeeze(-1)) * batch.valid[:, :, 0]
        for a in range(values.shape[-1]):
            step = (error * (action.squeeze(-1) == a)).unsqueeze(-1) * seen
            self.weights[:, :, a] += self.config.step_size * step.mean(dim=1)
        return {"loss": error.square().mean(dim=1)}, error.abs()

    def state_dict(self):
        return {"weights": self.weights}

    def load_state_dict(self, state):
        self.weights.copy_(state["weights"])


SPEC = AgentSpec("tally", TallyConfig, Tally, learns_from="sequences", headline={"loss": "loss"})
'''
OPTIONS = {
    "env": "CartPole-v1",
    "total_env_steps": 160,
    "log_every_env_steps": 40,
    "evaluate_every_env_steps": 80,
    "evaluation_episodes": 1,
    "final_episodes": 1,
    "learning_starts_env_steps": 60,
    "batch_size": 4,
    "replay_capacity": 200,
    "threads": 1,
    "video": False,
    "wandb": "disabled",
}


def train_own(folder: Path, text: str = TALLY, name: str = "run", **options) -> Run:
    path = folder / "tally.py"
    path.write_text(text)
    config = config_class(str(path))(**OPTIONS | {"runs": str(folder / "runs"), "name": name} | options)
    assert train(str(path), config).finished
    return open_run(folder / "runs" / name)


def test_it_is_trained_shown_evaluated_compared_and_resumed(tmp_path, capsys):
    whole = train_own(tmp_path, seeds=2, workers=1, name="whole")
    parts = train_own(tmp_path, seeds=2, workers=2, name="parts")
    series = [read_metrics(run.folder / "metrics.jsonl") for run in (whole, parts)]
    for name in ("loss", "evaluation/score"):  # a seed does the same in a process of its own
        assert series[0][name].values.tolist() == series[1][name].values.tolist()

    assert evaluate_run(whole, episodes=3)["episodes"] == 3
    assert record(whole, tmp_path / "seen.gif", max_seconds=0.2).stat().st_size > 0
    compare([whole.folder, parts.folder], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0

    longer = train_own(tmp_path, seeds=2, workers=1, name="longer", total_env_steps=240)
    assert resume_run(whole.folder, total_env_steps=240).finished
    for name in ("loss", "evaluation/score"):
        resumed, uninterrupted = (read_metrics(run.folder / "metrics.jsonl")[name] for run in (whole, longer))
        assert resumed.env_steps.tolist() == uninterrupted.env_steps.tolist()
        assert resumed.values.tolist() == uninterrupted.values.tolist()


RETURNED = 'return Acted(chosen, {"trace": 0.5 * trace + observation}, {"trace": trace})'
INITIAL = 'return {"trace": torch.zeros(len(self.seeds), num_envs, self.extras["trace"].shape[0])}'
MISTAKES = {
    "def act(": ("def acts(", "Tally lacks act"),
    "def update(": ("def learn(", "Tally lacks update"),
    "def initial_state(": ("def begin(", "Tally lacks initial_state"),
    "def state_dict(": ("def save(", "Tally lacks state_dict"),
    "def load_state_dict(": ("def load(", "Tally lacks load_state_dict"),
    ', {"trace": trace})': (")", r"act returned extras \[\], but \['trace'\] are declared"),
    '{"trace": trace})': ('{"trace": trace.double()})', "extra 'trace' .* of torch.float64, where .* of torch.float32"),
    '{"trace": 0.5': ('{"tally": 0.5', r"act returned state \['tally'\], but \['trace'\]"),
    RETURNED: ('return Acted(chosen, {"trace": trace[..., :1]}, {"trace": trace})', r"state 'trace' \(1, 1, 1\) of"),
    "Acted(chosen, {": ("Acted(chosen.unsqueeze(-1), {", r"the action \(1, 1, 1\) of torch.int64, where \(1, 1\) of"),
    "return Acted(chosen,": ("return (chosen,", "act returned tuple instead of Acted"),
    INITIAL: ("return [0.0]", "initial_state returned list instead of a dictionary"),
    "torch.zeros(len(self.seeds), num_envs,": ("torch.zeros(", r"initial_state returned 'trace' \(4,\)"),
    '{"trace": TensorSpec((size,))}': ('{"trace": (size,)}', "extras must be TensorSpec"),
    'return {"weights": self.weights}': ('return {"weights": {1, 2}}', "state_dict holds what cannot be saved"),
    'action_space, seeds, device="cpu"': ("action_space", "tally must be built as agent.config, observation_space"),
    'learns_from="sequences"': ('learns_from="rollout"', "tally learns from rollout: its configuration must be"),
    '"tally", ': ('"a/b", ', "'a/b' is no name for an agent"),
    "@dataclass(frozen=True, kw_only=True)\n": ("", "TallyConfig is no dataclass"),
    "TallyConfig(SequenceConfig)": ("TallyConfig", "TallyConfig must derive from a configuration"),
}


@pytest.mark.parametrize(("right", "wrong", "said"), [(right, *rest) for right, rest in MISTAKES.items()])
def test_a_part_that_does_not_fit_is_named_before_anything_is_written(right, wrong, said, tmp_path):
    assert right in TALLY
    with pytest.raises(ValueError, match=said) as error:
        train_own(tmp_path, TALLY.replace(right, wrong, 1))
    assert str(error.value).count("\n") <= 1
    assert not (tmp_path / "runs").exists()


BAD_PRIORITY = (
    r"Tally.update returned a priority that is negative or not finite, by env step \d+, update \d+ \(seeds .3"
)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            RETURNED,
            RETURNED.replace("+ observation}", "+ observation, **({'x': trace} if env_step > 9 else {})}"),
            "'x'",
        ),
        (
            RETURNED,
            RETURNED.replace('{"trace": trace}', '{"trace": trace[..., : 4 if env_step < 9 else 1]}'),
            "extra 'tra",
        ),
        (RETURNED, RETURNED.replace('{"trace": trace}', "{'trace' if env_step < 9 else 'x': trace}"), "extras .'x'.,"),
        (RETURNED, RETURNED.replace(": trace}", ": trace if env_step < 9 else trace.double()}"), "float64"),
        (", error.abs()\n", ", error.abs() / 0 * 0\n", BAD_PRIORITY),
        (", error.abs()\n", ", -1 - error.abs()\n", BAD_PRIORITY),
        (", error.abs()\n", "\n", "returned priorities of type NoneType, where prioritised replay needs"),
        (", error.abs()\n", ", error.abs().mean(dim=1)\n", r"returned priorities \(1,\) of torch.float32, where"),
        ("error.square().mean(dim=1)}", "error.square().mean()}", r"update returned 'loss' \(\) of torch.float32"),
        ("error.square().mean(dim=1)}", "0.5}", "update returned 'loss' of type float"),
        ('return {"loss": error.square().mean(dim=1)}, error.abs()', "return None", "update returned NoneType"),
    ],
)
def test_what_does_not_fit_later_is_named(right, wrong, said, tmp_path):
    assert right in TALLY
    with pytest.raises((ValueError, TrainingError), match=said):
        train_own(tmp_path, TALLY.replace(right, wrong, 1), seed=3)


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_an_error_in_the_file_is_told_with_its_place(workers, tmp_path):
    text = TALLY.replace("seen @ self.weights", "seen @ self.wieghts")
    (tmp_path / "tally.py").write_text(text)
    options = [word for name, value in OPTIONS.items() if name != "video" for word in (f"--{name}", str(value))]
    script = Path(__file__).parents[2] / "scripts" / "train.py"
    command = [sys.executable, str(script), "tally.py", *options, "--no-video", "--seeds", "2", "--workers", workers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    line = text[: text.index("wieghts")].count("\n") + 1
    place = f"train.py: tally.py, line {line}, in update: AttributeError: 'Tally' object has no attribute 'wieghts'"
    assert done.returncode == 1 and place in done.stderr
    assert "Traceback" not in done.stderr and "internal fault" not in done.stderr
