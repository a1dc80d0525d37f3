"""Methods, one readable file each; from Python, ``from agents import train, load`` (see docs/python.md)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.runs.trained import Trained, Video, load, train

__all__ = ["Trained", "Video", "load", "train"]


def __getattr__(name: str) -> Any:
    """Imported when first used: naming agents and their options needs no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agents.runs import trained

    return getattr(trained, name)
