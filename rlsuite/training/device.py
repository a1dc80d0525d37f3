"""The device that a run computes on."""

import torch


def usable_device(name: str) -> torch.device:
    """The torch device of that name; ``auto`` is CUDA where there is one.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).add_(1).item()  # some devices can be named but not computed on
    except Exception as error:  # of many kinds, one for each device
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"device {name!r} is not usable here: {reason}") from None
    return device
