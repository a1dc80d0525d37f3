from collections.abc import Iterator

import pygame
import pytest

from rlsuite.tracking.window import NoScreenError, Window, has_screen


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # a window nobody sees
    opened = Window("a run", (64, 48), frames_per_second=1000)
    yield opened
    opened.close()


def press(key: int, character: str = "") -> None:
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=character))


PICTURE = pygame.Surface((64, 48))


@pytest.mark.parametrize("key", [pygame.K_ESCAPE, pygame.K_q])
def test_keys_close(window: Window, key: int) -> None:
    assert window.show(PICTURE)
    press(key)
    assert not window.show(PICTURE)


def test_the_close_button_closes(window: Window) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert not window.show(PICTURE)


def test_shows_what_it_is_given(window: Window) -> None:
    picture = pygame.Surface((64, 48))
    picture.fill((10, 200, 30))
    window.show(picture)
    assert pygame.display.get_surface().get_at((5, 5))[:3] == (10, 200, 30)


def test_a_paused_window_goes_on_when_asked(window: Window) -> None:
    press(pygame.K_SPACE)
    press(pygame.K_SPACE)
    assert window.show(PICTURE) and not window.paused
    # Nothing but these events could let a paused window return.
    press(pygame.K_SPACE)
    press(pygame.K_RIGHT)
    assert window.show(PICTURE)
    assert window.paused
    assert pygame.display.get_caption()[0] == "a run  (paused)"
    press(pygame.K_ESCAPE)
    assert not window.show(PICTURE)


def test_speed_doubles_and_halves_within_limits(window: Window) -> None:
    press(pygame.K_PLUS, "+")
    window.show(PICTURE)
    assert window.speed == 2
    assert pygame.display.get_caption()[0] == "a run  (2 x)"
    for _ in range(10):
        press(pygame.K_EQUALS, "=")
    window.show(PICTURE)
    assert window.speed == 16
    for _ in range(20):
        press(pygame.K_MINUS, "-")
    window.show(PICTURE)
    assert window.speed == 1 / 8


def test_a_driver_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonsense")
    with pytest.raises(NoScreenError, match="nonsense"):
        Window("a run", (64, 48), frames_per_second=10)


@pytest.mark.parametrize("driver", ["dummy", "nonsense"])
def test_a_driver_that_shows_nothing_is_no_screen(monkeypatch: pytest.MonkeyPatch, driver: str) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    assert not has_screen()
    assert not pygame.display.get_init()


def test_without_a_display_there_is_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
