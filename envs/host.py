"""Make copies of any Gymnasium environment, in this process or in one process each."""

import warnings
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from envs.info import FAILURE, EnvironmentFailure
from envs.parts import UnsupportedSpace
from envs.preprocessing import PLAIN, Preprocessing, PreprocessingError
from envs.processes import ProcessVectorEnv
from envs.replayable import EpisodeRecord, Replayable
from rlsuite.experience import ExperienceError
from rlsuite.state import StateError, check, check_tensor

Vectorization = Literal["sync", "async"]
_COUNTS = ("seed", "episode", "length")  # of each environment, in a saved state

# Their Box2D world outlives the episode, and the contacts it finds depend on what happened in earlier ones.
_KEEPS_ITS_WORLD = {"BipedalWalker", "BipedalWalkerHardcore", "CarRacing"}


def make_host_vector(
    spec: EnvSpec,
    num_envs: int,
    *,
    preprocessing: Preprocessing = PLAIN,
    vectorization: Vectorization = "sync",
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    **env_kwargs: Any,
) -> VectorEnv[Any, Any, Any]:
    """A vector of ``num_envs`` replayable copies of a registered environment.

    ``sync`` steps one after the other in this process; ``async`` gives each its own process, which pays where a step
    costs much more than the 0.1 ms that it takes to ask for it.

    Raises:
        ValueError: packages are missing, ``env_kwargs`` do not fit, or there is no such vectorization.
        ExperienceError: an environment could not be made for another reason.
    """
    if vectorization not in ("sync", "async"):
        raise ValueError(f"unknown vectorization {vectorization!r}: it is 'sync' or 'async'.")
    preprocessing.check()
    if preprocessing.max_episode_steps is not None:
        env_kwargs["max_episode_steps"] = preprocessing.max_episode_steps
    made: list[gymnasium.Env[Any, Any]] = []

    def make() -> gymnasium.Env[Any, Any]:
        env = gymnasium.make(spec, **env_kwargs)
        made.append(env)
        made[-1] = Replayable(preprocessing.wrapped(env))
        return made[-1]

    try:
        if _is_made_by(spec, "mujoco"):
            _hear_what_mujoco_warns_of()
        kind = SyncVectorEnv if vectorization == "sync" else ProcessVectorEnv
        return kind([make] * num_envs, autoreset_mode=autoreset_mode)
    except (Exception, SystemExit) as error:
        for env in made:
            env.close()
        raise _cannot_make(spec, env_kwargs, error) from error


def _cannot_make(spec: EnvSpec, env_kwargs: dict[str, Any], error: BaseException) -> Exception:
    """Return the exception for an environment that could not be made, with the cause and a remedy."""
    if isinstance(error, UnsupportedSpace | PreprocessingError):
        return ValueError(f"{spec.id}: {error}")
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ImportError):
        return ValueError(f"{spec.id} needs packages that are not installed: {error}\n{_remedy(spec)}")
    given = f" with {env_kwargs}" if env_kwargs else ""
    what = str(error) if isinstance(error, EnvironmentFailure) else f"{type(error).__name__}: {error}"
    message = f"cannot make {spec.id}{given}: {' '.join(what.split())} (--env-kwargs passes arguments to it)"
    # Arguments are wrong from the start; a simulator may fail later, when there is something to save.
    return ValueError(message) if isinstance(error, TypeError) else ExperienceError(message)


def plays_back(spec: EnvSpec) -> bool:
    """Whether, as far as is known, an episode depends on its seed and actions alone; what ``EpisodePlayback`` needs."""
    return not spec.nondeterministic and spec.name not in _KEEPS_ITS_WORLD


def _is_made_by(spec: EnvSpec, simulator: str) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith(f"gymnasium.envs.{simulator}")


def _hear_what_mujoco_warns_of() -> None:
    """MuJoCo itself writes a warning for every copy made of a model: thirty in the midst of each evaluation."""
    import mujoco

    mujoco.set_mju_user_warning(_warn)


def _warn(message: str) -> None:
    if "deprecated" not in message:  # in Gymnasium's models, which those who use them cannot mend
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)


def _remedy(spec: EnvSpec) -> str:
    for extra in ("box2d", "mujoco"):
        if _is_made_by(spec, extra):
            return f'Install them: pip install "gymnasium[{extra}]"'
    return "Install them, then try again."


class EpisodePlayback:
    """Saves a vector of ``Replayable`` environments as the episodes they are in, and plays these back to return there.

    No simulator has to know how to save itself. Going back takes as long as the open episodes took to play.
    """

    def __init__(self, vector_env: VectorEnv[Any, Any, Any]) -> None:
        self._vector_env: Any = vector_env  # a SyncVectorEnv or ProcessVectorEnv

    def state_dict(self) -> dict[str, Any]:
        records: tuple[EpisodeRecord, ...] = self._vector_env.call("record")
        action_space = self._vector_env.single_action_space
        actions = [action for record in records for action in record.actions]
        return {
            "seed": [record.seed for record in records],
            "episode": [record.episode for record in records],
            "length": [len(record.actions) for record in records],
            "actions": torch.from_numpy(
                np.array(actions, action_space.dtype).reshape(len(actions), *(action_space.shape or ()))
            ),
            "observation": torch.from_numpy(np.stack([record.observation for record in records])),
        }

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Returns False where the environments did not come back to the observations they were saved with."""
        self._check(state)
        ends = np.cumsum(state["length"])
        actions = np.split(state["actions"].numpy(), ends[:-1])
        records = [
            EpisodeRecord(seed, episode, list(episode_actions), observation)
            for seed, episode, episode_actions, observation in zip(
                state["seed"], state["episode"], actions, state["observation"].numpy(), strict=True
            )
        ]
        # The vector environment itself remembers which episodes are over. It learns that from an ordinary step: each
        # environment answers the next one, whatever its action, with the last step of the episode it plays back.
        self._vector_env.reset(seed=state["seed"])
        self._vector_env.set_attr("resume_from", records)
        nothing = np.zeros(self._vector_env.action_space.shape or (), self._vector_env.action_space.dtype)
        *_, info = self._vector_env.step(nothing)
        return FAILURE not in info

    def _check(self, state: dict[str, Any]) -> None:
        """Raise ``StateError`` where the state is not one of these environments."""
        if not isinstance(state, dict) or state.keys() != {*_COUNTS, "actions", "observation"}:
            raise StateError("environments is not the state of environments that are played back")
        counts = [0] * self._vector_env.num_envs
        check(dict.fromkeys(_COUNTS, counts), {name: state[name] for name in _COUNTS}, "environments")
        rows = {"actions": sum(state["length"]), "observation": len(counts)}
        spaces = {
            "actions": self._vector_env.single_action_space,
            "observation": self._vector_env.single_observation_space,
        }
        for name, space in spaces.items():
            dtype = torch.from_numpy(np.zeros(0, space.dtype)).dtype
            check_tensor(state[name], (rows[name], *(space.shape or ())), dtype, name)
