"""Atari games whose observations are the console's 128 bytes of memory, under the protocols of those in pictures."""

import dataclasses
from typing import Any

import gymnasium
import numpy as np
from ale_py.env import AtariEnv
from gymnasium.envs.registration import EnvSpec

from envs.atari import FRAMES_PER_STEP
from envs.info import STOPS_BOOTSTRAP
from envs.protocols import AtariProtocol

_NOOP, _FIRE = 0, 1


def ram_spec(spec: EnvSpec, protocol: AtariProtocol) -> EnvSpec:
    """The registration of a game, with observations from its memory and the options of a protocol."""
    options = {
        "obs_type": "ram",
        "frameskip": FRAMES_PER_STEP,
        "repeat_action_probability": protocol.repeat_action_probability,
        "full_action_space": protocol.full_action_set,
        "max_num_frames_per_episode": protocol.frame_cap,
    }
    return dataclasses.replace(
        spec,
        entry_point=f"{__name__}:AtariRam",
        vector_entry_point=None,
        nondeterministic=False,
        kwargs=spec.kwargs | options | {"protocol": dataclasses.asdict(protocol)},
    )


class AtariRam(gymnasium.Wrapper[np.ndarray, int, np.ndarray, int]):
    """A game that begins, and loses lives, as its protocol says. Observations are uint8 ``[128]``."""

    def __init__(self, protocol: dict[str, Any], **options: Any) -> None:
        super().__init__(AtariEnv(**options))
        self._protocol = AtariProtocol(**protocol)
        self._lives = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        _, info = self.env.reset(seed=seed, options=options)
        emulator = self.env.unwrapped.ale  # type: ignore[attr-defined]
        for _ in range(int(self.np_random.integers(self._protocol.noop_max_frames + 1))):
            emulator.act(_NOOP)
        if self._protocol.fire_on_reset:
            emulator.act(_FIRE)
        self._lives = emulator.lives()
        return emulator.getRAM(), info | {"lives": self._lives}

    def step(self, action: int) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._protocol.life_loss_stops_bootstrap:
            info = info | {STOPS_BOOTSTRAP: info["lives"] < self._lives and not (terminated or truncated)}
        self._lives = info["lives"]
        return observation, reward, terminated, truncated, info
