"""The end of the scripts that a Python with JAX runs: they compile, and time themselves whenever they are asked."""

import sys
import time
from collections.abc import Callable


def answer(call: Callable[[], None], env_steps_a_call: int, seconds: float) -> None:
    """Compile by one call, say so, and for each line that comes in print the env steps a second over some seconds."""
    call()
    print("ready", flush=True)
    for _ in sys.stdin:
        env_steps, started = 0, time.perf_counter()
        while time.perf_counter() < started + seconds:
            call()
            env_steps += env_steps_a_call
        print(env_steps / (time.perf_counter() - started), flush=True)
