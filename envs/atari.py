"""``ALE/*``: many emulators stepped by C++ threads, every option written out."""

from typing import Any

import ale_py
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode, VectorEnv

from envs.info import STOPS_BOOTSTRAP
from envs.protocols import AtariProtocol
from rlsuite.cores import usable_cores
from rlsuite.spaces import FrameStack

StepResult = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]

FRAMES_PER_STEP = 4
TRAINING_PICTURE = {"img_height": 84, "img_width": 84, "grayscale": True, "stack_num": 4}

_SEED_BITS = 31  # the emulator's random seed is a C++ int


class AtariVector(AtariVectorEnv):
    """``num_envs`` games under one protocol. Observations are uint8 ``[N, 4, 84, 84]``, rewards raw scores (int32).

    The stack holds zeros before the first frame of an episode. The picture of an episode's last step is that of the
    frames before the end: the emulator stops drawing there. Protocols that stop the bootstrap at a lost life find it in
    ``info[STOPS_BOOTSTRAP]``; the game goes on.

    ale-py's own options ``episodic_life`` and ``life_loss_info`` stay off: the first starts a new game at every lost
    life, the second reports ends after which no episode begins.
    """

    def __init__(
        self,
        game: str,
        num_envs: int,
        protocol: AtariProtocol,
        *,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        picture: dict[str, Any] = TRAINING_PICTURE,
    ) -> None:
        # ale-py writes its autoreset mode into this dict, which without a copy all vector environments share.
        self.metadata = {"render_modes": [], "render_fps": 60 // FRAMES_PER_STEP}
        super().__init__(
            game,
            num_envs,
            batch_size=num_envs,
            num_threads=min(num_envs, usable_cores()),
            thread_affinity_offset=-1,
            max_num_frames_per_episode=protocol.frame_cap,
            repeat_action_probability=protocol.repeat_action_probability,
            full_action_space=protocol.full_action_set,
            continuous=False,
            continuous_action_threshold=0.5,
            autoreset_mode=autoreset_mode,
            frameskip=FRAMES_PER_STEP,
            maxpool=True,
            noop_max=protocol.noop_max_frames + 1,  # ale-py draws below its noop_max
            episodic_life=False,
            life_loss_info=False,
            reward_clipping=False,
            use_fire_reset=protocol.fire_on_reset,
            **picture,
        )
        if picture["grayscale"]:
            space: Any = self.single_observation_space
            self.single_observation_space = FrameStack(space.low, space.high, picture["stack_num"], padding="zero")
        self.action_names = tuple(action.name for action in self.ale.get_action_set())
        self._life_loss_stops_bootstrap = protocol.life_loss_stops_bootstrap
        self._lives = np.zeros(num_envs, np.int32)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start new games everywhere; ``seed`` lists one integer a game; only the low 31 bits of each are used."""
        seeds = None if seed is None else np.array([one & ((1 << _SEED_BITS) - 1) for one in seed])
        observation, info = super().reset(seed=seeds, options=options)
        self._lives = info["lives"]
        return observation, info

    def step_async(self, actions: np.ndarray) -> None:
        self.send(actions)

    def step_wait(self) -> StepResult:
        observation, reward, terminated, truncated, info = self.recv()
        if self._life_loss_stops_bootstrap:
            # Where an episode ended, SAME_STEP reports the lives of the next one.
            info[STOPS_BOOTSTRAP] = (info["lives"] < self._lives) & ~(terminated | truncated)
            self._lives = info["lives"]
        return observation, reward, terminated, truncated, info

    def step(self, actions: np.ndarray) -> StepResult:
        self.step_async(actions)
        return self.step_wait()

    def close_extras(self, **kwargs: Any) -> None:
        del self.ale  # ends its threads


class RenderedAtariVector(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """An ``AtariVector`` that can be looked at: ``render`` gives the games in colour at the console's resolution.

    A second vector plays the same games from the same seeds with the same actions, and so stays in step with the first.
    Its pictures, too, are the maximum of two frames: consoles draw some things in every other frame only, which 15
    pictures a second would never show.
    """

    def __init__(
        self,
        game: str,
        num_envs: int,
        protocol: AtariProtocol,
        *,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        height, width = _screen_size(game)
        colour = {"img_height": height, "img_width": width, "grayscale": False, "stack_num": 1}
        self.games = AtariVector(game, num_envs, protocol, autoreset_mode=autoreset_mode)
        self._colour_games = AtariVector(game, num_envs, protocol, autoreset_mode=autoreset_mode, picture=colour)
        self._pictures = np.zeros((num_envs, height, width, 3), np.uint8)
        self.metadata = self.games.metadata | {"render_modes": ["rgb_array"]}
        self.render_mode = "rgb_array"
        self.num_envs = num_envs
        self.action_names = self.games.action_names
        self.single_observation_space = self.games.single_observation_space
        self.single_action_space = self.games.single_action_space
        self.observation_space = self.games.observation_space
        self.action_space = self.games.action_space

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset as ``AtariVector`` does; pass a seed, or the two vectors play different games."""
        pictures, _ = self._colour_games.reset(seed=seed, options=options)
        self._pictures = pictures[:, 0]
        return self.games.reset(seed=seed, options=options)

    def step_async(self, actions: np.ndarray) -> None:
        self.games.step_async(actions)
        self._colour_games.step_async(actions)

    def step_wait(self) -> StepResult:
        pictures, *_ = self._colour_games.step_wait()
        self._pictures = pictures[:, 0]
        return self.games.step_wait()

    def step(self, actions: np.ndarray) -> StepResult:
        self.step_async(actions)
        return self.step_wait()

    def render(self) -> tuple[np.ndarray, ...]:
        """The current picture of each game, uint8 ``[height, width, 3]``, mostly 210 x 160."""
        return tuple(self._pictures)

    def close_extras(self, **kwargs: Any) -> None:
        self.games.close()
        self._colour_games.close()


def _screen_size(game: str) -> tuple[int, int]:
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no start-up messages
    emulator = ale_py.ALEInterface()
    rom = roms.get_rom_path(game)
    assert rom is not None, game
    emulator.loadROM(rom)
    height, width = emulator.getScreenDims()
    return height, width
