"""Env steps a second of DQN on Pong while it learns, beside Stable-Baselines3's DQN with the same hyperparameters.

Both: batch 32, one update every 4 env steps, Nature network, Huber loss, gradient norm 10, Adam 1e-4, plain (not
double) targets copied every 1,000 env steps, all cores.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import STABLE_BASELINES3, learning_speed, stable_baselines3
from benchmarks.rounds import alternate, row

_REPLAY = 10_000
_WARM_UP = 1_000
_ENV_STEPS = 600  # of one round


def rows() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        worker = _rlsuite(Path(folder))
        peer = learning_speed(_peer(), _ENV_STEPS)
        shares: dict[str, list[float]] = {}

        def ours() -> float:
            worker.measurements()  # the peer's turn is not to count
            before, started = worker.env_steps, time.perf_counter()
            while worker.env_steps < before + _ENV_STEPS:
                worker._round()
            seconds = time.perf_counter() - started
            for name, share in worker.measurements().items():
                if name.startswith("time/"):
                    shares.setdefault(name, []).append(float(share))
            return (worker.env_steps - before) / seconds

        figures = alternate(ours, peer)
        worker.close()
    found = [row("DQN on Pong, learning", "env steps/s", STABLE_BASELINES3, figures)]
    for name, values in shares.items():
        section = name.removeprefix("time/").removesuffix("_fraction")
        found.append(
            {"name": f"  of it: {section}", "value": 100 * sum(values) / len(values), "unit": "% of wall time"}
        )
    return found


def _rlsuite(folder: Path) -> Any:
    from agents.configs import DQNConfig
    from agents.crews import build_worker
    from agents.runs import create

    config = DQNConfig(
        env="ALE/Pong-v5",
        num_envs=8,
        batch_size=32,
        train_every_env_steps=4,
        updates_per_train=1,
        target_period_updates=250,
        learning_rate=(1e-4,),
        double=False,
        clip_rewards=True,
        replay_capacity=_REPLAY,
        learning_starts_env_steps=_WARM_UP,
        execution="compile",
        wandb="disabled",
        runs=str(folder),
    )
    worker = build_worker(create("dqn", config))
    while worker.env_steps < _WARM_UP + 100:
        worker._round()
    return worker


def _peer() -> Any:
    import ale_py
    import gymnasium

    make_atari_env = stable_baselines3(".common.env_util").make_atari_env
    frame_stack = stable_baselines3(".common.vec_env").VecFrameStack
    gymnasium.register_envs(ale_py)
    environment = frame_stack(make_atari_env("PongNoFrameskip-v4", n_envs=1, seed=0), n_stack=4)
    model = stable_baselines3().DQN(
        "CnnPolicy",
        environment,
        learning_rate=1e-4,
        buffer_size=_REPLAY,
        batch_size=32,
        learning_starts=_WARM_UP,
        train_freq=4,
        gradient_steps=1,
        target_update_interval=1_000,
        exploration_fraction=0.1,
        seed=0,
    )
    model.learn(_WARM_UP + 100)
    return model
