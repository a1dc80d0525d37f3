"""Video files, written frame by frame: nothing but the current frame is kept in memory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imageio_ffmpeg
import numpy as np

from rlsuite.tracking.lease import partial, require_lease

# H.264 in 4:2:0 plays everywhere but needs even sizes. Players read the index first, so it goes to the front.
_MP4 = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p"]
_MP4 += ["-movflags", "+faststart", "-f", "mp4"]
# A palette a frame needs no second pass over the video; ordered dithering does not flicker.
_GIF_FILTER = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=bayer:bayer_scale=5"
_GIF_FASTEST = 50  # frames per second; browsers slow faster ones down to 10


class VideoWriter:
    """Writes RGB frames to an ``.mp4`` (H.264) or ``.gif`` file::

        with VideoWriter(path, frames_per_second=30) as video:
            video.write(frame)

    The file appears under its name once it is complete; if the block is left by an exception, nothing remains.

    Args:
        path: the file; its suffix chooses the format.
        frames_per_second: how fast the video plays. A GIF drops frames beyond 50 a second.

    Raises:
        ValueError: the suffix is not known, a frame has the wrong shape or type, or there was no frame at all.
        OSError: the encoder failed, for instance on a full disk.
    """

    def __init__(self, path: Path | str, frames_per_second: float) -> None:
        self.path = Path(path)
        self.frames_per_second = frames_per_second
        match self.path.suffix.lower():
            case ".mp4":
                self._encoding = _MP4
            case ".gif":
                self._encoding = ["-vf", f"fps={min(frames_per_second, _GIF_FASTEST)},{_GIF_FILTER}", "-f", "gif"]
            case suffix:
                raise ValueError(f"a video's file name ends in .mp4 or .gif, not in {suffix!r}: {self.path}")
        self._partial = partial(self.path)
        self._shape: tuple[int, ...] = ()
        self._encoder: subprocess.Popen[bytes] | None = None

    def write(self, frame: np.ndarray) -> None:
        """Add one frame, uint8 [height, width, 3]; every frame has the size of the first."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"a frame is uint8 [height, width, 3], not {frame.dtype} {list(frame.shape)}")
        if self._encoder is None:
            self._encoder, self._shape = self._start(*frame.shape[:2]), frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"this frame is {list(frame.shape)}, but the first one was {list(self._shape)}")
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            raise self._failure(self._encoder.communicate()[1]) from None

    def _start(self, height: int, width: int) -> subprocess.Popen[bytes]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(self.frames_per_second)]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *source, "-i", "-", *self._encoding]
        # In a session of its own, so that Ctrl-C reaches only the run, which may finish its video.
        return subprocess.Popen(
            [*command, str(self._partial)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    def _failure(self, complaint: bytes) -> OSError:
        reason = complaint.decode(errors="replace").strip() or "the encoder stopped"
        return OSError(f"the video {self.path} could not be written: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            if self._encoder is not None:
                self._encoder.kill()
                self._encoder.communicate()
            self._partial.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._encoder is None:
            raise ValueError(f"the video {self.path} has no frames")
        complaint = self._encoder.communicate()[1]
        if self._encoder.returncode != 0:
            raise self._failure(complaint)
        require_lease(self.path)
        os.replace(self._partial, self.path)


def read_frames(path: Path | str) -> np.ndarray:
    """Every frame of a video file, uint8 [frames, height, width, 3]."""
    reader: Iterator[Any] = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    frames = [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]
    return np.stack(frames)
