"""Draw the picture of an environment beside a panel of an agent's diagnostics."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from rlsuite.tracking.text import number_text

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

Color = tuple[int, int, int]

PLOT_ENV_STEPS = 240
"""Length of the history in the plot of values."""

BACKGROUND: Color = (16, 18, 22)
PANEL: Color = (27, 30, 37)
TRACK: Color = (46, 51, 61)
DIM: Color = (154, 161, 175)
TEXT: Color = (232, 235, 241)
# From Okabe and Ito's palette, which people with colour-blindness can tell apart.
BAR: Color = (86, 180, 233)
CHOSEN: Color = (230, 159, 0)

_PANEL_WIDTH = 360
_MARGIN = 18
_INSIDE = _PANEL_WIDTH - 2 * _MARGIN
_LOWEST, _HIGHEST = 480, 640  # pixels: of the whole
_WIDEST_PICTURE = 960
_ENLARGE_TO = 600  # small pictures grow by whole numbers up to here
_HEADER_HEIGHT, _TITLE_HEIGHT, _PLOT_HEIGHT, _STRIP_HEIGHT, _GAP = 116, 22, 112, 98, 14
_ROW_HEIGHTS = (15, 26)
_NAME_WIDTH, _NUMBER_WIDTH, _BOUND_WIDTH = 112, 60, 32


@dataclass(frozen=True)
class Bars:
    """Numbers for A named actions, with the index of the chosen one."""

    title: str
    names: Sequence[str]  # A
    values: np.ndarray  # [A]
    chosen: int
    limits: tuple[float, float]  # of the axis


@dataclass(frozen=True)
class Sliders:
    """A vector of A named components, each between its bounds, which may be infinite."""

    title: str
    names: Sequence[str]  # A
    values: np.ndarray  # [A]
    low: np.ndarray  # [A]
    high: np.ndarray  # [A]


@dataclass(frozen=True)
class Histogram:
    """Probabilities of K bins of equal width between two limits."""

    title: str
    shares: np.ndarray  # [K]
    limits: tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """One picture, and the text and numbers shown beside it."""

    picture: np.ndarray  # uint8 [height, width, 3]
    heading: str
    subheading: str
    facts: dict[str, str]  # four of them, by their names
    action: Bars | Sliders
    value_title: str
    values: Sequence[float]  # one an env step, the last one now; none at all for agents without values
    memory: np.ndarray | None = None  # [T, M], what is remembered after each of the last env steps, the last one now
    returns: Histogram | None = None  # what may come of the chosen action
    note: str = ""  # on the picture


class WatchPanel:
    """Draws moments, off screen; for windows and videos alike, which is why both look the same.

    Fonts live as long as pygame does, and environments that draw with it end it when they are closed: make a panel
    for each time something is watched.
    """

    def __init__(self) -> None:
        pygame.font.init()
        # DejaVu comes with matplotlib: a plain text face with digits of equal width, where pygame has only a bold one.
        fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
        self._small = pygame.font.Font(fonts / "DejaVuSans.ttf", 11)
        self._plain = pygame.font.Font(fonts / "DejaVuSans.ttf", 12)
        self._bold = pygame.font.Font(fonts / "DejaVuSans-Bold.ttf", 12)
        self._large = pygame.font.Font(fonts / "DejaVuSans-Bold.ttf", 16)
        self._room: tuple[int, int] | None = None  # width and height of the first picture

    def draw(self, frame: Frame) -> pygame.Surface:
        """The picture on the left, the panel on the right; width and height are even, as video wants them.

        All pictures get as much room as the first: windows and videos keep their size.
        """
        picture = scaled(frame.picture)
        self._room = self._room or picture.get_size()
        if picture.get_size() != self._room:
            picture = _fitted(picture, self._room)
        width, height = picture.get_width(), max(picture.get_height(), _height(frame))
        canvas = pygame.Surface((width + _PANEL_WIDTH + width % 2, height + height % 2))
        canvas.fill(BACKGROUND)
        canvas.blit(picture, (0, (height - picture.get_height()) // 2))
        panel = canvas.subsurface((canvas.get_width() - _PANEL_WIDTH, 0, _PANEL_WIDTH, canvas.get_height()))
        panel.fill(PANEL)
        self._draw_header(panel, frame)
        plot_top = panel.get_height() - _MARGIN - _PLOT_HEIGHT
        bottom = panel.get_height() - _MARGIN
        if frame.values:
            self._draw_plot(panel, plot_top, frame.value_title, frame.values)
            bottom = plot_top - _GAP
        if frame.memory is not None:
            bottom -= _STRIP_HEIGHT + _GAP
            self._draw_strip(panel, bottom + _GAP, frame.memory)
        if frame.returns is not None:
            bottom -= _STRIP_HEIGHT + _GAP
            self._draw_histogram(panel, bottom + _GAP, frame.returns)
        rows = self._draw_bars if isinstance(frame.action, Bars) else self._draw_sliders
        rows(panel, _HEADER_HEIGHT + _GAP, bottom, frame.action)  # type: ignore[arg-type]
        if frame.note:
            self._draw_note(canvas, width, frame.note)
        return canvas

    def _draw_header(self, panel: pygame.Surface, frame: Frame) -> None:
        self._write(panel, self._large, frame.heading, TEXT, (_MARGIN, 14), width=_INSIDE)
        self._write(panel, self._plain, frame.subheading, DIM, (_MARGIN, 37), width=_INSIDE)
        column = _INSIDE // len(frame.facts)
        for index, (name, fact) in enumerate(frame.facts.items()):
            place = _MARGIN + index * column
            self._write(panel, self._small, name, DIM, (place, 70))
            self._write(panel, self._large, fact, TEXT, (place, 85), width=column - 4)
        pygame.draw.line(panel, TRACK, (_MARGIN, _HEADER_HEIGHT), (_PANEL_WIDTH - _MARGIN, _HEADER_HEIGHT))

    def _draw_bars(self, panel: pygame.Surface, top: int, bottom: int, bars: Bars) -> None:
        low, high = bars.limits
        self._write(panel, self._bold, bars.title, TEXT, (_MARGIN, top))
        ends = f"axis {number_text(low)} .. {number_text(high)}"
        self._write(panel, self._small, ends, DIM, (_PANEL_WIDTH - _MARGIN, top + 1), from_right=True)
        start = _MARGIN + _NAME_WIDTH
        length = _INSIDE - _NAME_WIDTH - _NUMBER_WIDTH
        for index, row in self._rows(panel, top + _TITLE_HEIGHT, bottom, len(bars.names), keep=bars.chosen):
            value, is_chosen = float(bars.values[index]), index == bars.chosen
            color = CHOSEN if is_chosen else BAR
            track = pygame.Rect(start, row.centery - 5, length, 10)
            pygame.draw.rect(panel, TRACK, track, border_radius=2)
            filled = pygame.Rect(track.topleft, (round(length * _share(value, low, high)), track.height))
            pygame.draw.rect(panel, color, filled, border_radius=2)
            if is_chosen:  # by shape too, not only by colour
                x, y = _MARGIN - 11, row.centery
                pygame.draw.polygon(panel, CHOSEN, [(x, y - 5), (x + 7, y), (x, y + 5)])
            font, ink = (self._bold, TEXT) if is_chosen else (self._plain, DIM)
            self._write_row(panel, row, font, ink, bars.names[index], number_text(value))

    def _draw_sliders(self, panel: pygame.Surface, top: int, bottom: int, sliders: Sliders) -> None:
        self._write(panel, self._bold, sliders.title, TEXT, (_MARGIN, top))
        start = _MARGIN + _NAME_WIDTH
        length = _INSIDE - _NAME_WIDTH - _NUMBER_WIDTH - 2 * _BOUND_WIDTH
        for index, row in self._rows(panel, top + _TITLE_HEIGHT, bottom, len(sliders.names)):
            value, low, high = (float(x[index]) for x in (sliders.values, sliders.low, sliders.high))
            track = pygame.Rect(start + _BOUND_WIDTH, row.centery - 2, length, 4)
            pygame.draw.rect(panel, TRACK, track, border_radius=2)
            middle = track.left + round(length * _share(0.0, low, high))
            knob = track.left + round(length * _share(value, low, high))
            pygame.draw.rect(panel, BAR, (min(middle, knob), track.top, abs(knob - middle), track.height))
            pygame.draw.line(panel, DIM, (middle, track.top - 2), (middle, track.bottom + 1))
            pygame.draw.circle(panel, CHOSEN, (knob, row.centery), 5)
            place = row.centery - 7
            self._write(panel, self._small, f"{low:.3g}", DIM, (track.left - 7, place), from_right=True)
            self._write(panel, self._small, f"{high:.3g}", DIM, (track.right + 7, place))
            self._write_row(panel, row, self._plain, TEXT, sliders.names[index], number_text(value))

    def _rows(
        self, panel: pygame.Surface, top: int, bottom: int, count: int, keep: int = 0
    ) -> list[tuple[int, pygame.Rect]]:
        """The rows that there is room for, ``keep`` among them, and a last line that counts the others."""
        smallest, largest = _ROW_HEIGHTS
        height = max(smallest, min(largest, (bottom - top) // count))
        room = (bottom - top) // height
        shown = list(range(count)) if count <= room else [*range(room - 1)]
        if keep not in shown:
            shown[-1] = keep
        if count > room:
            others = f"and {count - len(shown)} more"
            self._write(panel, self._small, others, DIM, (_MARGIN, top + (room - 1) * height))
        return [
            (index, pygame.Rect(_MARGIN, top + place * height, _INSIDE, height)) for place, index in enumerate(shown)
        ]

    def _draw_plot(self, panel: pygame.Surface, top: int, title: str, values: Sequence[float]) -> None:
        self._write(panel, self._bold, title, TEXT, (_MARGIN, top))
        now = number_text(values[-1])
        self._write(panel, self._bold, now, CHOSEN, (_PANEL_WIDTH - _MARGIN, top), from_right=True)
        box = pygame.Rect(_MARGIN, top + 20, _INSIDE, _PLOT_HEIGHT - 20)
        pygame.draw.rect(panel, BACKGROUND, box, border_radius=3)
        reach = f"last {PLOT_ENV_STEPS} env steps"
        self._write(panel, self._small, reach, DIM, (box.right - 5, box.bottom - 15), from_right=True)
        shown = np.array(values[-PLOT_ENV_STEPS:])
        places = np.flatnonzero(np.isfinite(shown))
        if len(places) == 0:
            return
        low, high = shown[places].min(), shown[places].max()
        inner = box.inflate(-12, -30)
        self._write(panel, self._small, number_text(high), DIM, (box.left + 5, box.top + 1))
        self._write(panel, self._small, number_text(low), DIM, (box.left + 5, box.bottom - 15))
        across = inner.width / (PLOT_ENV_STEPS - 1)
        points = [
            (inner.left + across * place, inner.bottom - inner.height * _share(shown[place], low, high))
            for place in places
        ]
        if len(points) > 1:
            pygame.draw.aalines(panel, BAR, False, points)
        pygame.draw.circle(panel, CHOSEN, points[-1], 3)

    def _draw_strip(self, panel: pygame.Surface, top: int, memory: np.ndarray) -> None:
        """The numbers of the memory from top to bottom, and env steps from left to right as in the plot below."""
        self._write(panel, self._bold, "memory", TEXT, (_MARGIN, top))
        told = f"{memory.shape[1]} numbers, blue -1 .. orange 1"
        self._write(panel, self._small, told, DIM, (_PANEL_WIDTH - _MARGIN, top + 1), from_right=True)
        box = pygame.Rect(_MARGIN, top + 20, _INSIDE, _STRIP_HEIGHT - 20)
        pygame.draw.rect(panel, BACKGROUND, box, border_radius=3)
        inner = box.inflate(-12, -8)
        width = max(2, round(inner.width * len(memory) / PLOT_ENV_STEPS))
        image = pygame.surfarray.make_surface(_tinted(memory))
        # Not smoothed: averages of numbers that lie side by side only by chance would say nothing.
        panel.blit(pygame.transform.scale(image, (width, inner.height)), inner.topleft)

    def _draw_histogram(self, panel: pygame.Surface, top: int, histogram: Histogram) -> None:
        """A column for each bin, the likeliest as high as there is room."""
        self._write(panel, self._bold, histogram.title, TEXT, (_MARGIN, top))
        low, high = histogram.limits
        ends = f"axis {number_text(low)} .. {number_text(high)}"
        self._write(panel, self._small, ends, DIM, (_PANEL_WIDTH - _MARGIN, top + 1), from_right=True)
        box = pygame.Rect(_MARGIN, top + 20, _INSIDE, _STRIP_HEIGHT - 20)
        pygame.draw.rect(panel, BACKGROUND, box, border_radius=3)
        inner = box.inflate(-12, -8)
        edges = np.linspace(inner.left, inner.right, len(histogram.shares) + 1).round().astype(int)
        for left, right, share in zip(edges, edges[1:], histogram.shares, strict=False):
            height = round(inner.height * _share(share, 0.0, histogram.shares.max()))
            if share > 0:
                pygame.draw.rect(panel, CHOSEN, (left, inner.bottom - height, max(1, right - left - 1), height))

    def _draw_note(self, canvas: pygame.Surface, width: int, note: str) -> None:
        text = self._bold.render(note, True, TEXT)
        pill = text.get_rect(centerx=width // 2, top=12).inflate(20, 10)
        pygame.draw.rect(canvas, PANEL, pill, border_radius=6)
        canvas.blit(text, text.get_rect(center=pill.center))

    def _write_row(
        self, panel: pygame.Surface, row: pygame.Rect, font: pygame.font.Font, ink: Color, name: str, number: str
    ) -> None:
        top = row.centery - 8
        self._write(panel, font, name, ink, (row.left, top), width=_NAME_WIDTH - 8)
        self._write(panel, font, number, ink, (row.right, top), from_right=True)

    def _write(
        self,
        panel: pygame.Surface,
        font: pygame.font.Font,
        text: str,
        ink: Color,
        corner: tuple[int, int],
        *,
        width: int = _INSIDE,
        from_right: bool = False,
    ) -> None:
        while len(text) > 1 and font.size(text)[0] > width:
            text = text.rstrip("…")[:-1] + "…"
        image = font.render(text, True, ink)
        x, y = corner
        panel.blit(image, (x - image.get_width() if from_right else x, y))


def _height(frame: Frame) -> int:
    """Return the height of the panel with a row for each action, within limits."""
    needed = _HEADER_HEIGHT + _GAP + _TITLE_HEIGHT + len(frame.action.names) * _ROW_HEIGHTS[0] + _MARGIN
    needed += _PLOT_HEIGHT + _GAP if frame.values else 0
    strips = (frame.memory is not None) + (frame.returns is not None)
    needed += strips * (_STRIP_HEIGHT + _GAP)
    return min(max(needed, _LOWEST), _HIGHEST)


def _tinted(numbers: np.ndarray) -> np.ndarray:
    """Colours uint8 ``[T, M, 3]`` of numbers: from the background at 0 to a colour each at -1 and 1, and beyond."""
    shares = np.clip(np.nan_to_num(numbers), -1.0, 1.0)[..., np.newaxis]
    ground, below, above = (np.array(color, float) for color in (TRACK, BAR, CHOSEN))
    return np.where(shares < 0, ground - shares * (below - ground), ground + shares * (above - ground)).astype(np.uint8)


def scaled(picture: np.ndarray) -> pygame.Surface:
    """A picture uint8 ``[height, width, 3]`` in the size it is shown in.

    Small ones grow by whole numbers, pixel by pixel, so that they stay crisp; only very large ones shrink.
    """
    height, width = picture.shape[:2]
    surface = pygame.image.frombuffer(np.ascontiguousarray(picture).tobytes(), (width, height), "RGB")
    times = _ENLARGE_TO // max(height, width)
    if times > 1:
        return pygame.transform.scale(surface, (times * width, times * height))
    shrink = min(_HIGHEST / height, _WIDEST_PICTURE / width)
    if shrink < 1:
        return pygame.transform.smoothscale(surface, (round(shrink * width), round(shrink * height)))
    return surface


def _fitted(picture: pygame.Surface, room: tuple[int, int]) -> pygame.Surface:
    """A picture as large as the room allows, in its middle."""
    scale = min(room[0] / picture.get_width(), room[1] / picture.get_height())
    size = (max(1, round(scale * picture.get_width())), max(1, round(scale * picture.get_height())))
    canvas = pygame.Surface(room)
    canvas.fill(BACKGROUND)
    canvas.blit(pygame.transform.smoothscale(picture, size), ((room[0] - size[0]) // 2, (room[1] - size[1]) // 2))
    return canvas


def pixels(surface: pygame.Surface) -> np.ndarray:
    """Return the pixels of a surface, uint8 ``[height, width, 3]``."""
    return pygame.surfarray.array3d(surface).swapaxes(0, 1)


def _share(value: float, low: float, high: float) -> float:
    """Return the position between ``low`` (0) and ``high`` (1), clipped; 0.5 if any number is not finite."""
    if not (np.isfinite([value, low, high]).all() and high > low):
        return 0.5
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))
