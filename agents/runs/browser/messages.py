"""Frames, curves and other news for a page: JSON, and JSON with a picture behind it."""

import io
import json
import math
import struct
from typing import Any

import numpy as np
from PIL import Image

from rlsuite.tracking.watch_panel import Bars, Frame

_CRISP_PIXELS = 256 * 256  # smaller pictures are enlarged pixel by pixel, and compressed without loss


def text(message: dict[str, Any]) -> str:
    """JSON of a message; what is not finite becomes null, which is all that JSON has for it."""
    return json.dumps(_plain(message), allow_nan=False)


def with_picture(message: dict[str, Any], picture: np.ndarray) -> bytes:
    """A message with a picture uint8 ``[height, width, 3]``: the length of its JSON, that, and the picture's file."""
    head = text(message).encode()
    file = io.BytesIO()
    image = Image.fromarray(picture)
    if picture.shape[0] * picture.shape[1] <= _CRISP_PIXELS:
        image.save(file, "PNG", compress_level=1)
    else:
        image.save(file, "JPEG", quality=90, subsampling=0)
    return struct.pack("<I", len(head)) + head + file.getvalue()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The message and the file of ``with_picture``."""
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def of_frame(frame: Frame, fresh: int) -> dict[str, Any]:
    """Numbers of a frame beside its picture; of its histories the last ``fresh`` entries: the page has the others."""
    action: dict[str, Any] = {"title": frame.action.title, "values": frame.action.values}
    if isinstance(frame.action, Bars):
        action |= {"chosen": frame.action.chosen, "limits": frame.action.limits}
    return {
        "facts": frame.facts,
        "action": action,
        "valueTitle": frame.value_title,
        "values": frame.values[-fresh:] if fresh else [],
        "memory": None if frame.memory is None else frame.memory[-fresh:] if fresh else [],
        "returns": None if frame.returns is None else vars(frame.returns),
        "note": frame.note,
    }


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case np.ndarray():
            return _plain(value.tolist())
        case np.generic():
            return _plain(value.item())
        case float() if not math.isfinite(value):
            return None
    return value
