"""Make environments that render themselves, with or without a screen, and render them."""

import functools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode

from envs.adapter import VectorAdapter
from envs.lookup import find_spec
from envs.make import RenderMode, make_environments
from envs.on_device import OnDevice
from envs.preprocessing import PLAIN, Preprocessing
from envs.protocols import AtariProtocol
from rlsuite.tracking.window import has_screen

_PROBE_TIMEOUT_SECONDS = 30
_CHANNELS = (1, 3, 4)  # grey, colour, colour and alpha
_MODES: tuple[RenderMode, ...] = ("rgb_array", "rgb_array_list")


class RenderError(ValueError):
    """An environment that cannot be drawn here; the message says why, in a line or two."""


def make_rendered(
    env_id: str,
    seed: int,
    *,
    protocol: AtariProtocol | None = None,
    device: torch.device | str = "cpu",
    env_kwargs: dict[str, Any] | None = None,
    preprocessing: Preprocessing = PLAIN,
) -> VectorAdapter:
    """One environment whose pictures ``picture`` takes. The last observation of an episode has a step of its own.

    Raises:
        RenderError: the environment cannot be drawn, or not on this machine.
        ValueError: there is no such environment.
    """
    entry_point = find_spec(env_id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    modes = getattr(creator, "metadata", {}).get("render_modes") or ["rgb_array"]  # it may render without this entry
    mode = next((mode for mode in _MODES if mode in modes), None)
    if mode is None:
        raise RenderError(f"{env_id} cannot be watched: it has no render mode 'rgb_array', only {list(modes)}")
    on_screen = has_screen()
    if not on_screen:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame opens a display even to draw off screen
    try:
        environments = make_environments(
            env_id,
            [seed],
            1,
            protocol=protocol,
            device=device,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            env_kwargs=env_kwargs,
            preprocessing=preprocessing,
            purpose="watch",
            render_mode=mode,
        )
    except Exception as error:  # it could be made for training, so rendering is the cause
        raise RenderError(f"{env_id} cannot be watched: {_first_line(error)}") from error
    assert isinstance(environments, VectorAdapter)  # nothing else resets in a step of its own
    if (model := mujoco_model(environments)) is not None:
        _follow(environments, model)
        try:
            if not on_screen:
                _draw_without_screen(model)
        except RenderError:
            environments.close()
            raise
    return environments


def mujoco_model(environments: VectorAdapter | OnDevice) -> Any:
    """The ``mujoco.MjModel`` of the first environment; None where it is not one of MuJoCo's."""
    copies = getattr(environments.vector_env, "envs", ())
    model = getattr(copies[0].unwrapped, "model", None) if copies else None
    return model if hasattr(model, "actuator_trnid") else None


def picture(environments: VectorAdapter | OnDevice, env_id: str) -> np.ndarray:
    """Render the only environment, uint8 ``[height, width, 3]``.

    Raises:
        RenderError: it could not be drawn.
    """
    try:
        pictures = environments.render()
    except Exception as error:  # drivers raise many kinds: OpenGL's own errors, mujoco.FatalError, pygame.error, ...
        raise RenderError(f"{env_id} could not be drawn: {type(error).__name__}: {_first_line(error)}") from error
    drawn = pictures[0] if pictures else None
    if isinstance(drawn, list | tuple):  # all since the last call
        drawn = drawn[-1] if drawn else None
    if drawn is None:
        raise RenderError(f"{env_id} could not be drawn: its render() returns no picture")
    try:
        return _in_colour(np.asarray(drawn))
    except (TypeError, ValueError) as error:
        raise RenderError(f"{env_id} could not be drawn: its render() returns {_first_line(error)}") from error


def _in_colour(drawn: np.ndarray) -> np.ndarray:
    """A picture uint8 ``[height, width, 3]`` of one in grey or colour, channels last or first, with or without alpha.

    Raises:
        ValueError: it is none; the message says what it is.
    """
    what = f"an array of {drawn.dtype} with the shape {drawn.shape}"
    if drawn.dtype.kind not in "buif" or drawn.ndim not in (2, 3) or drawn.size == 0:
        raise ValueError(f"{what}, which is no picture")
    if drawn.ndim == 2:
        drawn = drawn[..., np.newaxis]
    elif drawn.shape[2] not in _CHANNELS and drawn.shape[0] in _CHANNELS:
        drawn = drawn.transpose(1, 2, 0)
    if drawn.shape[2] not in _CHANNELS:
        raise ValueError(f"{what}, which is no picture")
    if drawn.dtype == bool or (drawn.dtype.kind == "f" and np.nanmax(drawn) <= 1.0):  # from black to white in [0, 1]
        drawn = 255.0 * drawn
    colours = drawn[..., :3] if drawn.shape[2] == 4 else np.broadcast_to(drawn, (*drawn.shape[:2], 3))
    return np.nan_to_num(colours).clip(0, 255).astype(np.uint8)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _follow(environments: Any, model: Any) -> None:
    """Look through the camera that tracks the body, where the model has one; Gymnasium 1.4 lets it run out of sight."""
    names = [model.camera(k).name for k in range(model.ncam)]
    if "track" in names:
        environments.vector_env.envs[0].unwrapped.mujoco_renderer.camera_id = names.index("track")


def _draw_without_screen(model: Any) -> None:
    if "MUJOCO_GL" not in os.environ:  # read when the first picture is drawn
        os.environ["MUJOCO_GL"] = _headless_opengl()
    # Mostly drawn by the CPU, on which smooth edges and fine shadows are slow.
    model.vis.quality.offsamples = 0
    model.vis.quality.shadowsize = 1024


@functools.cache
def _headless_opengl() -> str:
    """The way MuJoCo can draw without a screen here: ``egl`` or ``osmesa``.

    Each is tried in a process of its own: some drivers crash, and PyOpenGL cannot change its mind once it is loaded.

    Raises:
        RenderError: neither works.
    """
    for backend in ("egl", "osmesa"):
        attempt = f"from mujoco.{backend} import GLContext; GLContext(8, 8).make_current()"
        try:
            subprocess.run(
                [sys.executable, "-c", attempt], capture_output=True, timeout=_PROBE_TIMEOUT_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return backend
    raise RenderError(
        "MuJoCo cannot draw without a screen here: neither EGL nor OSMesa works. "
        "Install one, for instance: apt-get install libegl1 libgl1, or libosmesa6"
    )
