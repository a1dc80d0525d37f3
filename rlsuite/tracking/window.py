"""A window that shows pictures at a steady rate, with keys to pause, step and change the speed."""

import os
import sys
import warnings

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

KEYS = "space pauses, right arrow goes one step, + and - change the speed, Esc or Q closes"

_INVISIBLE = ("dummy", "offscreen")  # video drivers of SDL that show nothing
_SLOWEST, _FASTEST = 1 / 8, 16
_POLL_MILLISECONDS = 10


class NoScreenError(RuntimeError):
    """No window can be opened here; the message says why."""


def has_screen() -> bool:
    """Whether a window can be opened. A screen that is named but does not answer, as in an old terminal, is none."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    if pygame.display.get_init():
        return pygame.display.get_driver() not in _INVISIBLE
    try:
        pygame.display.init()
        return pygame.display.get_driver() not in _INVISIBLE  # SDL takes these by itself where nothing else works
    except pygame.error:
        return False
    finally:
        pygame.display.quit()


class Window:
    """A window that shows pictures in turn; ``KEYS`` describes its keys.

    Args:
        title: the window's.
        size: width and height of every picture.
        frames_per_second: the pace at speed 1.

    Raises:
        NoScreenError: the screen cannot be used.
    """

    def __init__(self, title: str, size: tuple[int, int], frames_per_second: float) -> None:
        self.frames_per_second = frames_per_second
        self.speed = 1.0
        self.paused = False
        self.closed = False
        self._title = title
        self._one_step = False
        try:
            pygame.display.init()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # users cannot change that scaling is slow on this screen
                # Scaled: enlarged on large screens, and when the window is resized.
                self._screen = pygame.display.set_mode(size, pygame.SCALED | pygame.RESIZABLE)
        except pygame.error as error:
            raise NoScreenError(str(error)) from error
        self._due_milliseconds = float(pygame.time.get_ticks())
        self._entitle()

    def show(self, picture: pygame.Surface) -> bool:
        """Show a picture until the next one is due; False once the window is closed."""
        self._screen.blit(picture, (0, 0))
        pygame.display.flip()
        self._one_step = False
        # Counted from the picture before, so that the time it takes to make one does not slow the pace.
        period = 1000 / (self.frames_per_second * self.speed)
        self._due_milliseconds = max(self._due_milliseconds + period, pygame.time.get_ticks())
        while True:
            self._handle_events()
            left = self._due_milliseconds - pygame.time.get_ticks()
            if self.closed or self._one_step or (not self.paused and left <= 0):
                return not self.closed
            pygame.time.wait(_POLL_MILLISECONDS if self.paused else max(1, min(round(left), _POLL_MILLISECONDS)))

    def close(self) -> None:
        self.closed = True
        pygame.display.quit()

    def _handle_events(self) -> None:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.closed = True
            elif event.type == pygame.KEYDOWN:
                self._press(event.key, event.unicode)
        self._entitle()

    def _press(self, key: int, character: str) -> None:
        if key in (pygame.K_ESCAPE, pygame.K_q):
            self.closed = True
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key == pygame.K_RIGHT:
            self.paused = self._one_step = True
        elif character in ("+", "="):  # the same key on many keyboards
            self.speed = min(self.speed * 2, _FASTEST)
        elif character == "-":
            self.speed = max(self.speed / 2, _SLOWEST)

    def _entitle(self) -> None:
        state = "  (paused)" if self.paused else f"  ({self.speed:g} x)" if self.speed != 1.0 else ""
        pygame.display.set_caption(self._title + state)
