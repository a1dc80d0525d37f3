"""Env steps a second of DQN on CartPole in JAX, measured whenever a line comes in: run by a Python that has it.

    python scripts/benchmarks/jax_dqn.py SEEDS SECONDS CORES

The pattern of PureJaxRL (Lu et al., 2022): environments of gymnax, replay and learner are one compiled scan, and seeds
are a vmap over all of it. Hyperparameters are those of the benchmark ``population``. It always learns, with neither the
branches for the time before nor the logging that a user's program has. CORES are the cores it may use, as 0 or 0,1.
"""

import os
import sys
from typing import NamedTuple

# XLA keeps threads for every core it sees: two such processes that share two cores are half as quick as on one each.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(core)] for core in sys.argv[3].split(",")})
if "," not in sys.argv[3]:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gymnax
import jax
import jax.numpy as jnp
import optax
from jax_timing import answer

_ENVS, _BATCH, _CAPACITY, _WIDTHS = 10, 128, 10_000, (4, 120, 84, 2)
_TARGET_PERIOD_UPDATES, _DECAY_UPDATES = 50, 25_000
_DISCOUNT, _EPSILON_END = 0.99, 0.05
_UPDATES_A_CALL = 500


class _Transition(NamedTuple):
    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    done: jax.Array
    next_observation: jax.Array


def _network(parameters, x):
    for weight, bias in parameters[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = parameters[-1]
    return x @ weight + bias


def _initial(key):
    layers = []
    for key_of_layer, before, after in zip(jax.random.split(key, 3), _WIDTHS[:-1], _WIDTHS[1:], strict=True):
        bound = before**-0.5
        weight = jax.random.uniform(key_of_layer, (before, after), minval=-bound, maxval=bound)
        layers.append((weight, jnp.zeros(after)))
    return layers


def main(seeds: int, seconds: float) -> None:
    env, constants = gymnax.make("CartPole-v1")
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    adam = optax.adam(2.5e-4)

    def begin(key):
        key, for_network, for_envs = jax.random.split(key, 3)
        online = _initial(for_network)
        observation, state = reset(jax.random.split(for_envs, _ENVS), constants)
        slots = _CAPACITY // _ENVS
        ring = _Transition(
            jnp.zeros((slots, _ENVS, 4)),
            jnp.zeros((slots, _ENVS), jnp.int32),
            jnp.zeros((slots, _ENVS)),
            jnp.zeros((slots, _ENVS), bool),
            jnp.zeros((slots, _ENVS, 4)),
        )
        return key, online, online, adam.init(online), observation, state, ring, jnp.int32(0)

    def update(carry, _):
        key, online, target, moments, observation, state, ring, count = carry
        key, for_coin, for_action, for_steps, for_batch = jax.random.split(key, 5)
        epsilon = jnp.maximum(1 - (1 - _EPSILON_END) * count / _DECAY_UPDATES, _EPSILON_END)
        greedy = _network(online, observation).argmax(-1)
        random_action = jax.random.randint(for_action, (_ENVS,), 0, 2)
        action = jnp.where(jax.random.uniform(for_coin, (_ENVS,)) < epsilon, random_action, greedy)
        after, state, reward, terminated, truncated, _ = step(
            jax.random.split(for_steps, _ENVS), state, action, constants
        )
        # After the end of an episode this is the first observation of the next one; its value is not used.
        done = terminated | truncated
        slots = _CAPACITY // _ENVS
        now = _Transition(observation, action, reward, done, after)
        ring = jax.tree.map(lambda kept, value: kept.at[count % slots].set(value), ring, now)
        drawn = jax.random.randint(for_batch, (_BATCH,), 0, jnp.minimum(count + 1, slots) * _ENVS)
        batch = jax.tree.map(lambda kept: kept.reshape(_CAPACITY, *kept.shape[2:])[drawn], ring)
        best = _network(target, batch.next_observation).max(-1)
        goal = batch.reward + _DISCOUNT * ~batch.done * best

        def loss(parameters):
            value = _network(parameters, batch.observation)
            return jnp.mean((jnp.take_along_axis(value, batch.action[:, None], -1)[:, 0] - goal) ** 2)

        gradient = jax.grad(loss)(online)
        change, moments = adam.update(gradient, moments)
        online = optax.apply_updates(online, change)
        due = (count + 1) % _TARGET_PERIOD_UPDATES == 0
        target = jax.tree.map(lambda new, old: jnp.where(due, new, old), online, target)
        return (key, online, target, moments, after, state, ring, count + 1), jnp.mean(reward)

    many = jax.jit(jax.vmap(lambda carry: jax.lax.scan(update, carry, None, length=_UPDATES_A_CALL)))
    carry = jax.jit(jax.vmap(begin))(jax.random.split(jax.random.key(0), seeds))

    def call():
        nonlocal carry
        carry, given = many(carry)
        jax.block_until_ready(given)

    answer(call, seeds * _ENVS * _UPDATES_A_CALL, seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
