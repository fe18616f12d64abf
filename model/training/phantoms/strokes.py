"""Thin structures as strokes in space: sampled once in millimetres, splatted straight into a projection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Mass points in patient space."""

    points: Points
    """(N, 3): x to the patient's left, y to the back, z to the head, mm."""
    mass: NDArray[np.floating]
    """(N,) cubic millimetres of water-equivalent."""


def join(clouds: list[Cloud]) -> Cloud:
    """Put clouds together."""
    return Cloud(np.concatenate([c.points for c in clouds]), np.concatenate([c.mass for c in clouds]))


def resample(path: Points, step_mm: float) -> Points:
    """Return the polyline `path` (N, 3) with points about every `step_mm`."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    count = max(2, int(length[-1] / step_mm) + 1)
    at = np.linspace(0.0, length[-1], count)
    return np.stack([np.interp(at, length, path[:, k]) for k in range(3)], axis=-1).astype(np.float32)


def _across(tangent: Points, axis: int) -> Points:
    """Return unit vectors across the stroke in the plane that is seen along `axis`; (..., 3)."""
    sight = np.zeros(3, np.float32)
    sight[axis] = 1.0
    normal = np.cross(tangent, sight)
    # A stroke that runs along the line of sight has no normal in the picture: any will do, upright is stable.
    normal[..., 2] += np.where(np.linalg.norm(normal, axis=-1) < 0.15, 0.3, 0.0)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)


def tube(
    path: Points,
    radius_mm: float | Points,
    density: float,
    *,
    wall: float = 1.0,
    core: float = 0.0,
    step_mm: float = 1.6,
    axis: int = 1,
) -> Cloud:
    """Fill a tube around `path` (N, 3).

    `wall` is the fraction of the radius that carries `density`; the rest carries `core` times it. `axis` is
    the line of sight for which the profile is exact (1 frontal, 0 lateral).
    """
    line = resample(path, step_mm)
    radius = np.broadcast_to(np.asarray(radius_mm, np.float32), (len(path),))
    radius = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(path)), radius).astype(np.float32)
    spacing = float(np.linalg.norm(np.diff(line, axis=0), axis=1).mean())
    count = int(np.clip(np.ceil(2.9 * float(radius.max()) / step_mm), 1, 61))
    u = ((np.arange(count) + 0.5) / count * 2.0 - 1.0).astype(np.float32)
    inner = 1.0 - wall
    chord = np.sqrt(1.0 - u**2) - (1.0 - core) * np.sqrt(np.maximum(inner**2 - u**2, 0.0))
    across = _across(np.gradient(line, axis=0), axis)
    points = line[:, None, :] + across[:, None, :] * (radius[:, None, None] * u[None, :, None])
    mass = density * spacing * (2.0 * radius[:, None] * chord[None, :]) * (2.0 * radius[:, None] / count)
    return Cloud(points.reshape(-1, 3).astype(np.float32), mass.reshape(-1).astype(np.float32))


def patch(edge: Points, other: Points, thickness_mm: float, *, count: int = 40) -> Cloud:
    """Fill the ruled surface between two polylines of equal length (N, 3) with a plate."""
    u = np.linspace(0.0, 1.0, count, dtype=np.float32)[None, :, None]
    a, b = resample(edge, 1e9 if len(edge) < 2 else _step(edge, count)), other
    b = resample(b, _step(b, count))
    n = min(len(a), len(b))
    sheet = a[:n, None, :] * (1.0 - u) + b[:n, None, :] * u
    width = np.linalg.norm(b[:n] - a[:n], axis=1)
    height = np.linalg.norm(np.diff(a[:n], axis=0), axis=1).mean()
    mass = np.repeat(thickness_mm * height * width / count, count)
    return Cloud(sheet.reshape(-1, 3).astype(np.float32), mass.astype(np.float32))


def _step(path: Points, count: int) -> float:
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) / count


def splat(
    shape: tuple[int, int], row: NDArray[np.float32], column: NDArray[np.float32], mass: NDArray[np.floating]
) -> Points:
    """Add points to a picture of `shape` (J, I) with bilinear weights; `row`, `column` in pixel centres."""
    j, i = np.floor(row).astype(np.intp), np.floor(column).astype(np.intp)
    inside = (j >= 0) & (i >= 0) & (j < shape[0] - 1) & (i < shape[1] - 1)
    j, i, mass = j[inside], i[inside], mass[inside]
    v, u = row[inside] - j, column[inside] - i
    flat = j * shape[1] + i
    size = shape[0] * shape[1]
    total = np.bincount(flat, mass * (1 - v) * (1 - u), size)
    total += np.bincount(flat + 1, mass * (1 - v) * u, size)
    total += np.bincount(flat + shape[1], mass * v * (1 - u), size)
    total += np.bincount(flat + shape[1] + 1, mass * v * u, size)
    return total.reshape(shape).astype(np.float32)
