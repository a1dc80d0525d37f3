"""Env steps a second of DQN on Pong while it learns, beside Stable-Baselines3's DQN with the same hyperparameters.

Both: batch 32, one update every 4 env steps, Nature network, Huber loss, gradient norm 10, Adam 1e-4, plain (not
double) targets copied every 1,000 env steps, all cores. Where the processor multiplies in bfloat16, ours once more with
its encoder in that precision, which the peer does not offer.
"""

from collections.abc import Callable
from typing import Any

import torch
from benchmarks.ours import learning_workers, training_speed
from benchmarks.peers import STABLE_BASELINES3, learning_speed, stable_baselines3
from benchmarks.rounds import alternate, row

from agents.dqn import DQNConfig
from rlsuite.networks.precision import Precision, has_bfloat16

_REPLAY = 10_000
_WARM_UP = 1_000
_ROUND_SECONDS = 6.0
_PEER_ENV_STEPS = 600  # of one round


def rows() -> list[dict[str, Any]]:
    precisions: list[Precision] = ["float32"]
    if has_bfloat16(torch.device("cpu")):
        precisions.append("bfloat16")
    peer = learning_speed(_peer(), _PEER_ENV_STEPS)
    return [found for precision in precisions for found in _rows(precision, peer)]


def _rows(precision: Precision, peer: Callable[[], float]) -> list[dict[str, Any]]:
    shares: dict[str, list[float]] = {}
    with learning_workers("dqn", _config(precision), updates=25) as workers:
        speed = training_speed(workers, 1, "env_steps", _ROUND_SECONDS)

        def ours() -> float:
            workers.measurements()  # exclude the peer's turn
            env_steps_a_second = speed()
            for name, share in workers.measurements().items():
                if name.startswith("time/"):
                    shares.setdefault(name, []).append(float(share))
            return env_steps_a_second

        figures = alternate(ours, peer)
    found = [row(f"DQN on Pong, learning, {precision}", "env steps/s", STABLE_BASELINES3, figures)]
    for name, values in shares.items():
        section = name.removeprefix("time/").removesuffix("_fraction")
        found.append(
            {"name": f"  of it: {section}", "value": 100 * sum(values) / len(values), "unit": "% of wall time"}
        )
    return found


def _config(precision: Precision) -> DQNConfig:
    return DQNConfig(
        env="ALE/Pong-v5",
        num_envs=8,
        batch_size=32,
        train_every_env_steps=4,
        updates_per_train=1,
        target_period_updates=250,
        learning_rate=(1e-4,),
        target_rule="one-step",
        clip_rewards=True,
        replay_capacity=_REPLAY,
        learning_starts_env_steps=_WARM_UP,
        execution="compile",
        encoder_precision=precision,
    )


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
