"""Saved states are taken over whole, or not at all."""

import copy

import pytest
import torch

from agents.dqn import DQNConfig
from agents.reinforce import ReinforceConfig
from agents.runs.building import build_trainer
from agents.runs.run import create
from rlsuite.state import StateError, check, restore
from rlsuite.training.checkpoint import CheckpointError, load, save
from tests.agents.test_sick_environments import Silent

STRANGE = [
    None,
    True,
    -1,
    10**30,
    1.5,
    "x",
    [],
    [1, "a"],
    {},
    {"a": {}},
    torch.zeros(2),
    torch.ones(3, dtype=torch.int8),
]


@pytest.mark.parametrize(
    ("own", "saved", "said"),
    [
        ({"a": torch.zeros(2)}, {"a": torch.zeros(1)}, r"a is float32 \[1\], where float32 \[2\] is wanted"),
        ({"a": torch.zeros(2)}, {"a": torch.zeros(2).double()}, "a is float64"),
        ({"a": {"b": torch.zeros(2)}}, {"a": {}}, "b is missing in a"),
        ({"a": 0}, {"a": 0, "c": 1}, "unknown 'c'"),
        ({"a": 0}, {"a": True}, "a is not a count"),
        ({"a": 0}, {"a": -1}, "a is not a count"),
        ({"a": 0.0}, {"a": float("nan")}, "a is not a number"),
        ({"a": [0]}, {"a": [0, 0]}, "a is not a list of 1"),
        ({"a": False}, {"a": 1}, "a is not of type bool"),
    ],
)
def test_what_does_not_fit_is_named(own, saved, said):
    with pytest.raises(StateError, match=said):
        check(own, saved)


def test_counts_that_were_floats_are_taken():
    own = {"updates": torch.zeros(2, dtype=torch.int64)}
    restore(own, {"updates": torch.tensor([3.0, 4.0])})
    assert own["updates"].tolist() == [3, 4]


def test_nothing_is_copied_unless_all_fits():
    own = {"a": torch.zeros(2), "b": {"c": torch.zeros(1)}}
    with pytest.raises(StateError):
        restore(own, {"a": torch.ones(2), "b": {"c": torch.ones(2)}})
    assert own["a"].tolist() == [0, 0]
    restore(own, {"a": torch.ones(2), "b": {"c": torch.ones(1)}})
    assert own["a"].tolist() == [1, 1] and own["b"]["c"].item() == 1


def places(state):
    for name, value in list(state.items()):
        yield state, name
        if isinstance(value, dict):
            yield from places(value)


def changes(value):
    if isinstance(value, torch.Tensor):
        flat = value.reshape(-1)
        yield torch.cat([flat, flat[:1]]) if flat.numel() else torch.zeros(3)
        yield value.to(torch.int8 if value.dtype == torch.float64 else torch.float64)
        yield value[None]
    yield from STRANGE


COMMON = {"hidden": (4,), "num_envs": 2, "wandb": "disabled", "execution": "eager", "evaluate_every_env_steps": 20}
COMMON |= {"total_env_steps": 40, "evaluation_episodes": 2, "name": "run"}
REPLAY = {"learning_starts_env_steps": 8, "replay_capacity": 40, "batch_size": 4}


@pytest.mark.parametrize(
    "agent", [pytest.param("dqn on a host", marks=pytest.mark.slow), "dqn on tensors", "reinforce"]
)
def test_a_changed_state_is_refused_or_taken_never_a_fault(agent, tmp_path):
    env = "rlsuite/CartPole-v1" if "tensors" in agent else "CartPole-v1"
    options = COMMON | {"env": env, "runs": str(tmp_path)}
    config = ReinforceConfig(**options) if agent == "reinforce" else DQNConfig(**REPLAY, **options)
    run = create(agent.partition(" ")[0], config)
    trainer = build_trainer(run, Silent())
    trainer.run()
    saved, path = run.checkpoints.load(), tmp_path / "changed"
    refused = taken = 0
    for number, (_, name) in enumerate(places(copy.deepcopy(saved))):
        for change, value in enumerate([*changes(list(places(saved))[number][0][name]), "removed", "added"]):
            if (number + change) % 7:  # a part of them, to be quick
                continue
            state = copy.deepcopy(saved)
            entries, name = list(places(state))[number]
            if value == "removed" if isinstance(value, str) else False:
                del entries[name]
            elif value == "added" if isinstance(value, str) else False:
                entries["unheard_of"] = 3
            else:
                entries[name] = value
            save(path, state)
            try:
                trainer.load_state_dict(load(path))
                taken += 1
            except CheckpointError as error:
                assert "\n" not in str(error)
                refused += 1
    trainer.workers.close()
    assert refused > 3 * taken
