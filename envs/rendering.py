"""Pictures of environments."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np


@functools.cache
def _artist(environment: Callable[..., gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        # pygame opens a display even to draw off screen.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")  # no sound either
    return environment(render_mode="rgb_array")


def draw_with(environment: Callable[..., gymnasium.Env[Any, Any]], **attributes: Any) -> np.ndarray:
    """The picture that Gymnasium's own environment draws once its attributes (``state=...``) are set."""
    artist = _artist(environment)
    for name, value in attributes.items():
        setattr(artist, name, value)
    return np.array(artist.render(), dtype=np.uint8)
