"""A picture of the drive for people: the road from above, the car in the middle and pointing up."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pygame

SIZE = 400  # pixels
_FINE = 2  # drawn at twice the size and scaled down, which smooths the edges
_SCALE = 8.0 * _FINE  # pixels a metre
_CAR_AT = np.array([200.0, 290.0]) * _FINE  # pixels
_BEHIND, _AHEAD, _SPACING = 24.0, 54.0, 0.5  # m
_SHARP = 0.025  # 1/m, bends with kerbs
_CELL = 14.0  # m, of the lattice that trees and stripes of grass follow

_GRASS, _MOWN = (92, 148, 72), (84, 138, 66)
_TREE, _CROWN = (46, 92, 50), (60, 114, 60)
_ASPHALT, _WHITE, _RED = (86, 88, 94), (235, 235, 230), (200, 60, 50)
_BODY, _WINDOWS, _TYRES = (45, 105, 215), (25, 35, 55), (20, 20, 22)

ToPixels = Callable[[np.ndarray], np.ndarray]  # points on the plane (m) to pixels, both [K, 2]


@dataclass(frozen=True)
class Road:
    """A road whose curvature is a sum of waves."""

    amplitudes: np.ndarray  # 1/m
    phases: np.ndarray  # rad
    wave_lengths: np.ndarray  # m
    half_width: float  # m

    def curvature(self, distance: np.ndarray) -> np.ndarray:
        return (self.amplitudes * np.sin(self._angle(distance))).sum(-1)

    def direction(self, distance: np.ndarray) -> np.ndarray:
        return -(self.amplitudes * self.wave_lengths / (2 * np.pi) * np.cos(self._angle(distance))).sum(-1)

    def middle(self, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances from start to stop, and where on a plane (m) they are, ``[K, 2]`` from 0, 0."""
        distance = np.linspace(start, stop, max(2, int(abs(stop - start) / _SPACING)))
        direction = self.direction((distance[1:] + distance[:-1]) / 2)
        steps = np.stack((np.cos(direction), np.sin(direction)), axis=-1) * (distance[1] - distance[0])
        return distance, np.concatenate((np.zeros((1, 2)), steps.cumsum(axis=0)))

    def _angle(self, distance: np.ndarray) -> np.ndarray:
        return np.asarray(distance)[..., None] * (2 * np.pi / self.wave_lengths) + self.phases


def draw(
    road: Road, *, distance: float, offset: float, heading: float, steering: float, car_length: float
) -> np.ndarray:
    """RGB uint8 ``[400, 400, 3]``; metres and radians, positive to the left, as in ``envs.drive``."""
    here = road.middle(0.0, distance)[1][-1]
    road_direction = float(road.direction(np.array(distance)))
    normal = np.array([-np.sin(road_direction), np.cos(road_direction)])
    car, car_direction = here + offset * normal, road_direction + heading
    turn = np.array([[np.cos(car_direction), np.sin(car_direction)], [-np.sin(car_direction), np.cos(car_direction)]])

    def to_pixels(points: np.ndarray) -> np.ndarray:
        ahead, left = ((points - car) @ turn.T).T
        return np.stack((_CAR_AT[0] - left * _SCALE, _CAR_AT[1] - ahead * _SCALE), axis=-1)

    distances, back = road.middle(distance, distance - _BEHIND)
    more, forth = road.middle(distance, distance + _AHEAD)
    distances = np.concatenate((distances[:0:-1], more))
    middle = here + np.concatenate((back[:0:-1], forth))

    canvas = pygame.Surface((SIZE * _FINE, SIZE * _FINE))
    canvas.fill(_GRASS)
    _draw_grass(canvas, car, to_pixels)
    _draw_road(canvas, road, distances, middle, to_pixels)
    _draw_trees(canvas, car, middle, road.half_width, to_pixels)
    _draw_car(canvas, steering, car_length)
    picture = pygame.transform.smoothscale(canvas, (SIZE, SIZE))
    return np.ascontiguousarray(pygame.surfarray.array3d(picture).swapaxes(0, 1))


def _cells_around(car: np.ndarray) -> np.ndarray:
    return np.floor(car / _CELL).astype(np.int64) + np.arange(-5, 6)[:, None]


def _draw_grass(canvas: pygame.Surface, car: np.ndarray, to_pixels: ToPixels) -> None:
    for column in _cells_around(car)[:, 0].tolist():
        left, right = column * _CELL, (column + 0.5) * _CELL
        low, high = car[1] - 100, car[1] + 100
        stripe = np.array([[left, low], [right, low], [right, high], [left, high]])
        pygame.draw.polygon(canvas, _MOWN, to_pixels(stripe).tolist())


def _draw_road(
    canvas: pygame.Surface, road: Road, distances: np.ndarray, middle: np.ndarray, to_pixels: ToPixels
) -> None:
    direction = road.direction(distances)
    normals = np.stack((-np.sin(direction), np.cos(direction)), axis=-1)
    edges = [to_pixels(middle + side * road.half_width * normals) for side in (1, -1)]
    pygame.draw.polygon(canvas, _ASPHALT, np.concatenate((edges[0], edges[1][::-1])).tolist())
    sharp = np.abs(road.curvature(distances)) > _SHARP
    for edge in edges:
        for index in range(len(edge) - 1):
            kerb = sharp[index] and int(distances[index] // 1.5) % 2 == 0
            width = 5 * _FINE if sharp[index] else 2 * _FINE
            pygame.draw.line(canvas, _RED if kerb else _WHITE, edge[index], edge[index + 1], width)
    centre = to_pixels(middle)
    for index in np.flatnonzero(distances[:-1] % 6.0 < 3.0).tolist():
        pygame.draw.line(canvas, _WHITE, centre[index], centre[index + 1], 2 * _FINE)


def _draw_trees(
    canvas: pygame.Surface, car: np.ndarray, middle: np.ndarray, half_width: float, to_pixels: ToPixels
) -> None:
    """A tree in each cell of the lattice, somewhere in it, unless the road is there."""
    columns, rows = _cells_around(car).T
    for column in columns.tolist():
        for row in rows.tolist():
            chance = np.random.default_rng([column + 10**6, row + 10**6]).random(3)
            place = (np.array([column, row]) + chance[:2]) * _CELL
            radius = 1.2 + 1.3 * chance[2]  # m
            if np.linalg.norm(middle - place, axis=-1).min() > half_width + radius + 0.8:
                at = to_pixels(place[None])[0]
                pygame.draw.circle(canvas, _TREE, at, radius * _SCALE)
                pygame.draw.circle(canvas, _CROWN, at - radius * _SCALE * 0.2, radius * _SCALE * 0.7)


def _draw_car(canvas: pygame.Surface, steering: float, length: float) -> None:
    """Boxes in metres from the middle of the car: ahead, to the left, length, width."""

    def box(
        colour: tuple[int, int, int], ahead: float, left: float, size: tuple[float, float], turn: float = 0.0
    ) -> None:
        corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * np.array(size) / 2
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        forward, leftward = (corners @ rotation.T + [ahead, left]).T
        pixels = np.stack((_CAR_AT[0] - leftward * _SCALE, _CAR_AT[1] - forward * _SCALE), axis=-1)
        pygame.draw.polygon(canvas, colour, pixels.tolist())

    for side in (-1, 1):
        box(_TYRES, 0.3 * length, 0.95 * side, (0.9, 0.35), steering)
        box(_TYRES, -0.3 * length, 0.95 * side, (0.9, 0.35))
    box(_BODY, 0.0, 0.0, (0.92 * length, 1.9))
    box(_BODY, 0.47 * length, 0.0, (0.06 * length, 1.5))
    box(_WINDOWS, 0.12 * length, 0.0, (0.16 * length, 1.6))
    box(_WINDOWS, -0.3 * length, 0.0, (0.1 * length, 1.5))
    for side in (-1, 1):
        box(_WHITE, 0.45 * length, 0.65 * side, (0.25, 0.4))
        box(_RED, -0.45 * length, 0.65 * side, (0.2, 0.45))
