from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from rlsuite.tracking.video import VideoWriter, read_frames


def moving_square(frames: int, height: int = 64, width: int = 80) -> np.ndarray:
    video = np.full((frames, height, width, 3), (30, 60, 90), dtype=np.uint8)
    for index in range(frames):
        video[index, 16:32, 4 * index : 4 * index + 16] = (230, 200, 40)
    return video


@pytest.mark.parametrize(("suffix", "tolerance"), [(".mp4", 4.0), (".gif", 1.0)])
def test_frames_come_back(tmp_path: Path, suffix: str, tolerance: float) -> None:
    path, frames = tmp_path / "new" / f"run{suffix}", moving_square(12)
    with VideoWriter(path, frames_per_second=25) as video:
        for frame in frames:
            video.write(frame)
    decoded = read_frames(path)
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < tolerance
    assert next(imageio_ffmpeg.read_frames(str(path)))["fps"] == 25
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "run.mp4"
    with VideoWriter(path, frames_per_second=30) as video:
        video.write(moving_square(1)[0])
    facts = next(imageio_ffmpeg.read_frames(str(path)))
    assert facts["codec"] == "h264"
    assert facts["pix_fmt"].startswith("yuv420p")


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (34, 52)), (".gif", (33, 51))])
def test_odd_sizes_are_padded_not_scaled(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path, frames = tmp_path / f"odd{suffix}", moving_square(3, height=33, width=51)
    with VideoWriter(path, frames_per_second=10) as video:
        for frame in frames:
            video.write(frame)
    decoded = read_frames(path)
    assert decoded.shape == (3, *size, 3)
    assert np.abs(decoded[:, :33, :51].astype(int) - frames).mean() < 4.0


def test_views_that_are_not_contiguous_are_written_right(tmp_path: Path) -> None:
    path, frame = tmp_path / "view.gif", moving_square(1)[0]
    with VideoWriter(path, frames_per_second=10) as video:
        video.write(frame[::-1])
    assert np.abs(read_frames(path)[0].astype(int) - frame[::-1]).mean() < 1.0


def test_gif_is_not_faster_than_browsers_play_it(tmp_path: Path) -> None:
    path = tmp_path / "fast.gif"
    with VideoWriter(path, frames_per_second=60) as video:
        for frame in moving_square(12):
            video.write(frame)
    assert len(read_frames(path)) == 10


def test_unknown_suffix_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.mp4 or \.gif, not in '\.avi'"):
        VideoWriter(tmp_path / "run.avi", frames_per_second=30)


def test_empty_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no frames"), VideoWriter(tmp_path / "run.mp4", frames_per_second=30):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)])
def test_frames_of_another_kind_are_refused(tmp_path: Path, frame: np.ndarray) -> None:
    with (
        pytest.raises(ValueError, match=r"uint8 \[height, width, 3\]"),
        VideoWriter(tmp_path / "run.mp4", frames_per_second=30) as video,
    ):
        video.write(frame)


def test_changed_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the first one was"), VideoWriter(tmp_path / "run.mp4", 30) as video:
        video.write(np.zeros((8, 8, 3), np.uint8))
        video.write(np.zeros((8, 10, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_half_written_file_is_removed_and_an_older_one_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.mp4"
    path.write_bytes(b"the video of an earlier run")
    with pytest.raises(RuntimeError, match="environment broke"), VideoWriter(path, frames_per_second=30) as video:
        while len(list(tmp_path.iterdir())) == 1:  # until the encoder has begun to write
            video.write(moving_square(1)[0])
        raise RuntimeError("environment broke")
    assert [file.name for file in tmp_path.iterdir()] == ["run.mp4"]
    assert path.read_bytes() == b"the video of an earlier run"


def test_encoder_that_cannot_write_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "run.mp4"
    (tmp_path / "run.mp4.partial").mkdir()  # stands in the encoder's way
    writer = VideoWriter(path, frames_per_second=30)
    with pytest.raises(OSError, match="could not be written"):
        for frame in np.repeat(moving_square(1), 300, axis=0):
            writer.write(frame)
