"""Env steps a second of PPO on CartPole in JAX, measured whenever a line comes in: run by a Python that has it.

    python scripts/benchmarks/jax_ppo.py SEEDS SECONDS CORES

The pattern of PureJaxRL (Lu et al., 2022): environments of gymnax, rollouts and minibatch epochs are one compiled scan,
and seeds are a vmap over all of it. Hyperparameters are those of the benchmark ``actor_critics``, but for what neither
needs for its speed: nothing is logged, and the learning rate stays. CORES are the cores it may use, as 0 or 0,1.
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

_ENVS, _STEPS, _EPOCHS, _MINIBATCHES, _WIDTHS = 8, 128, 4, 4, (4, 64, 64)
_DISCOUNT, _TRACE, _CLIP, _VALUE_WEIGHT, _MAX_GRADIENT_NORM = 0.99, 0.95, 0.2, 0.5, 0.5
_ROLLOUTS_A_CALL = 10


class _Row(NamedTuple):
    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array


def _network(layers, x):
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias


def _initial(key, outputs, scale):
    widths, layers = (*_WIDTHS, outputs), []
    for number, key_of_layer in enumerate(jax.random.split(key, len(widths) - 1)):
        gain = scale if number == len(widths) - 2 else 2**0.5
        weight = jax.nn.initializers.orthogonal(gain)(key_of_layer, (widths[number], widths[number + 1]))
        layers.append((weight, jnp.zeros(widths[number + 1])))
    return layers


def _loss(parameters, batch):
    row, advantage, goal = batch
    log_probabilities = jax.nn.log_softmax(_network(parameters["policy"], row.observation))
    chosen = jnp.take_along_axis(log_probabilities, row.action[:, None], -1)[:, 0]
    ratio = jnp.exp(chosen - row.log_probability)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - _CLIP, 1 + _CLIP) * advantage).mean()
    value = _network(parameters["value"], row.observation)[:, 0]
    return _VALUE_WEIGHT * 0.5 * jnp.mean((value - goal) ** 2) - surrogate


def main(seeds: int, seconds: float) -> None:
    env, constants = gymnax.make("CartPole-v1")
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    adam = optax.chain(optax.clip_by_global_norm(_MAX_GRADIENT_NORM), optax.adam(2.5e-4, eps=1e-5))

    def begin(key):
        key, for_policy, for_value, for_envs = jax.random.split(key, 4)
        parameters = {"policy": _initial(for_policy, 2, 0.01), "value": _initial(for_value, 1, 1.0)}
        observation, state = reset(jax.random.split(for_envs, _ENVS), constants)
        return key, parameters, adam.init(parameters), observation, state

    def rollout(carry, _):
        key, parameters, moments, observation, state = carry

        def act(carry, _):
            key, observation, state = carry
            key, for_action, for_steps = jax.random.split(key, 3)
            log_probabilities = jax.nn.log_softmax(_network(parameters["policy"], observation))
            action = jax.random.categorical(for_action, log_probabilities)
            after, state, reward, terminated, truncated, _ = step(
                jax.random.split(for_steps, _ENVS), state, action, constants
            )
            row = _Row(
                observation,
                action,
                jnp.take_along_axis(log_probabilities, action[:, None], -1)[:, 0],
                _network(parameters["value"], observation)[:, 0],
                reward,
                terminated | truncated,
            )
            return (key, after, state), row

        (key, observation, state), rows = jax.lax.scan(act, (key, observation, state), None, length=_STEPS)

        def backwards(carry, row):
            advantage, next_value = carry
            goes_on = 1.0 - row.done
            advantage = row.reward + _DISCOUNT * goes_on * (next_value + _TRACE * advantage) - row.value
            return (advantage, row.value), advantage

        # The error of a step and the discounted trace of the next one are the same sum: r + g (v' + l A') - v, since A'
        # is counted from v'.
        last = _network(parameters["value"], observation)[:, 0]
        _, advantage = jax.lax.scan(backwards, (jnp.zeros(_ENVS), last), rows, reverse=True)
        flat = jax.tree.map(
            lambda x: x.reshape(_STEPS * _ENVS, *x.shape[2:]), (rows, advantage, advantage + rows.value)
        )

        def epoch(carry, _):
            key, parameters, moments = carry
            key, for_order = jax.random.split(key)
            order = jax.random.permutation(for_order, _STEPS * _ENVS)
            shuffled = jax.tree.map(lambda x: x[order].reshape(_MINIBATCHES, -1, *x.shape[1:]), flat)

            def improve(carry, batch):
                parameters, moments = carry
                change, moments = adam.update(jax.grad(_loss)(parameters, batch), moments)
                return (optax.apply_updates(parameters, change), moments), None

            (parameters, moments), _ = jax.lax.scan(improve, (parameters, moments), shuffled)
            return (key, parameters, moments), None

        (key, parameters, moments), _ = jax.lax.scan(epoch, (key, parameters, moments), None, length=_EPOCHS)
        return (key, parameters, moments, observation, state), rows.done.sum()

    many = jax.jit(jax.vmap(lambda carry: jax.lax.scan(rollout, carry, None, length=_ROLLOUTS_A_CALL)))
    carry = jax.jit(jax.vmap(begin))(jax.random.split(jax.random.key(0), seeds))

    def call():
        nonlocal carry
        carry, ended = many(carry)
        jax.block_until_ready(ended)

    answer(call, seeds * _ENVS * _STEPS * _ROLLOUTS_A_CALL, seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
