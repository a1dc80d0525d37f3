"""Speed of TD3, SAC and PPO, one and eight seeds, beside Stable-Baselines3's, and of PPO beside one in JAX.

TD3 and SAC: updates a second, nets 256-256, batch 256, as ``ddpg.py`` measures them. PPO: env steps a second on
``CartPole-v1`` with all that belongs to them, by the peer's defaults with 8 environments: rollouts of 2,048 env steps,
10 epochs of minibatches of 64, nets 64-64. Beside JAX (``jax_ppo.py``, where ``jax_peer`` finds it): on CartPole as
tensors, 8 environments, rollouts of 1,024 env steps, 4 epochs of 4 minibatches, nets 64-64; JAX may use all cores.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from benchmarks.ddpg import learner_alone
from benchmarks.jax_peer import JaxPeer, has_jax
from benchmarks.ours import learning_workers, training_speed
from benchmarks.peers import STABLE_BASELINES3, learning_speed, stable_baselines3, with_all_cores
from benchmarks.rounds import alternate, row

from agents.options import RunConfig
from agents.ppo import PPOConfig
from agents.sac import SACConfig
from agents.td3 import TD3Config
from rlsuite.cores import usable_cores
from rlsuite.training.worker import Unit

_TRANSITIONS = 5_000
_ENVS, _ROLLOUT, _MINIBATCH = 8, 2_048, 64


def rows() -> Iterator[dict[str, Any]]:
    for seeds in (1, 8):
        yield _row("ppo", _ppo(seeds), "env_steps", _ppo_peer(), 2)
        for agent, kind in (("td3", TD3Config), ("sac", SACConfig)):
            options = {"replay_capacity": _TRANSITIONS, "learning_starts_env_steps": _TRANSITIONS, "seeds": seeds}
            config = kind(env="rlsuite/Pendulum-v1", total_env_steps=1_000_000, **options)
            peer = with_all_cores(learner_alone(agent.upper()))
            yield _row(agent, config, "updates", peer, 100)
        if has_jax():
            yield _beside_jax(seeds)


def _row(agent: str, config: RunConfig, unit: Unit, peer: Callable[[], float], warm_up: int) -> dict[str, Any]:
    with learning_workers(agent, config, warm_up) as workers:
        figures = alternate(training_speed(workers, config.seeds, unit), peer)
    what = f"{agent.upper()} {unit.replace('_', ' ')}"
    return row(f"{what}, {config.seeds} seed(s)", "1/s over all seeds", STABLE_BASELINES3, figures)


def _beside_jax(seeds: int) -> dict[str, Any]:
    shape: dict[str, Any] = {"num_envs": _ENVS, "rollout_env_steps": 1_024, "minibatches": 4, "epochs": 4}
    config = PPOConfig(env="rlsuite/CartPole-v1", seeds=seeds, total_env_steps=100_000_000, **shape)
    where = ",".join(map(str, range(usable_cores())))
    with (
        learning_workers("ppo", config, 64) as workers,
        closing(JaxPeer("jax_ppo.py", [(seeds, 3.0, where)])) as peer,
    ):
        figures = alternate(training_speed(workers, seeds, "env_steps"), peer.measure)
    return row(f"PPO on tensor CartPole, {seeds} seed(s)", "env steps/s over all seeds", "JAX, one process", figures)


def _ppo(seeds: int) -> PPOConfig:
    return PPOConfig(
        env="CartPole-v1",
        seeds=seeds,
        num_envs=_ENVS,
        rollout_env_steps=_ROLLOUT,
        minibatches=_ROLLOUT // _MINIBATCH,
        total_env_steps=10_000_000,
    )


def _ppo_peer() -> Callable[[], float]:
    made = stable_baselines3(".common.env_util").make_vec_env("CartPole-v1", _ENVS, seed=0)
    model = stable_baselines3().PPO("MlpPolicy", made, n_steps=_ROLLOUT // _ENVS, batch_size=_MINIBATCH, seed=0)
    return learning_speed(model, _ROLLOUT)
