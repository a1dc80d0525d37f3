"""Env steps a second of one gymnax environment (JAX), measured whenever a line comes in: run by a Python that has it.

    python scripts/benchmarks/jax_envs.py NAME NUM_ENVS STEPS SECONDS CORE

Random actions; everything is drawn, stepped and begun again inside one compiled scan of STEPS steps, which hands out
every observation, reward and flag. gymnax asks for another Gymnasium than ours, so it has an environment of its own.
"""

import os
import sys

# XLA keeps threads for every core it sees: two such processes that share two cores are half as quick as on one each.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[int(sys.argv[5])]})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import gymnax
import jax
from jax_timing import answer


def main(name: str, num_envs: int, steps: int, seconds: float) -> None:
    env, parameters = gymnax.make(name)
    reset = jax.vmap(env.reset, in_axes=(0, None))
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))
    sample = jax.vmap(env.action_space(parameters).sample)

    def advance(carry, _):
        key, state = carry
        key, for_actions, for_steps = jax.random.split(key, 3)
        actions = sample(jax.random.split(for_actions, num_envs))
        observation, state, *rest = step(jax.random.split(for_steps, num_envs), state, actions, parameters)
        return (key, state), (observation, *rest[:-1])  # all but the info

    rollout = jax.jit(lambda carry: jax.lax.scan(advance, carry, None, length=steps))
    key = jax.random.key(0)
    carry = (key, reset(jax.random.split(key, num_envs), parameters)[1])

    def call():
        nonlocal carry
        carry, given = rollout(carry)
        jax.block_until_ready(given)

    answer(call, num_envs * steps, seconds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
