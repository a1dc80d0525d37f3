"""Updates wait for something to learn from."""

import dataclasses

import pytest

from agents.dqn import DQNConfig
from agents.runs.building import build_worker
from agents.runs.run import Run

CONFIG = DQNConfig(
    env="CartPole-v1",
    seeds=2,
    num_envs=2,
    n_step=5,
    learning_starts_env_steps=0,
    train_every_env_steps=2,
    replay_capacity=100,
    batch_size=4,
    hidden=(8,),
    execution="eager",
    device="cpu",
)


def observed(worker):
    """How many transitions the replay held at each of the updates of the next 20 env steps."""
    source, sizes = worker.source, []
    sample = source.sample
    source.sample = lambda: (sizes.append(source.experience.size.min().item()), sample())[1]
    goal = source.env_steps + 20
    while source.env_steps < goal:
        worker.advance(goal)
    return sizes


@pytest.mark.parametrize("env", ["CartPole-v1", "rlsuite/CartPole-v1"])
@pytest.mark.parametrize("save_replay", [True, False])
def test_no_update_comes_from_an_empty_replay(env, save_replay, tmp_path):
    config = dataclasses.replace(CONFIG, env=env, save_replay=save_replay)
    worker = build_worker(Run(tmp_path, "dqn", config))
    sizes = observed(worker)
    assert len(sizes) == 6 and min(sizes) >= 1  # the fifth vector step is the first that pays
    state = worker.state_dict()
    # A replay that was not kept is empty again, however often the run is resumed.
    for _ in range(2):
        worker = build_worker(Run(tmp_path, "dqn", config))
        worker.load_state_dict(state)
        sizes = observed(worker)
        assert min(sizes) >= 1 and len(sizes) == (10 if save_replay else 6)
        state = worker.state_dict()
