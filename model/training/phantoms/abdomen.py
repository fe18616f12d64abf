"""Axial CT of an analytic upper abdomen in portal or native phase, with exact organ masks."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from model.reading import ABDOMINAL_ORGANS
from model.training.phantoms.abdomen_body import Build, Grid, Region, Voxels, draw_build, organs, shell
from model.training.phantoms.texture import smooth_noise
from model.training.phantoms.truth import AbdomenCase

# Mean and spread over patients of Hounsfield units: portal phase, native.
_PORTAL = {
    "liver": (92, 11), "spleen": (86, 12), "kidneys": (150, 20), "pancreas": (65, 9), "aorta": (138, 16),
    "ivc": (108, 14), "veins": (138, 16), "stomach": (22, 9), "bowel": (38, 14), "gallbladder": (9, 4),
    "renal sinus": (-40, 20), "adrenal": (55, 8), "crura": (58, 5), "cavity": (-102, 6), "lung": (-840, 30),
    "heart": (110, 14),
}  # fmt: skip
_NATIVE = {
    "liver": (50, 8), "spleen": (42, 6), "kidneys": (28, 5), "pancreas": (36, 6), "aorta": (40, 5),
    "ivc": (38, 5), "veins": (38, 5), "stomach": (18, 9), "bowel": (26, 10), "gallbladder": (8, 4),
    "renal sinus": (-50, 20),
    "adrenal": (25, 6), "crura": (52, 5), "cavity": (-102, 6), "lung": (-840, 30), "heart": (40, 5),
}  # fmt: skip


def _axes(
    rng: np.random.Generator, build: Build, shape: tuple[int, int, int]
) -> tuple[Voxels, Voxels, Voxels]:
    """Return z, y, x of the voxel centres: a slab of 40 mm up to the whole upper abdomen, body in view."""
    extent = float(rng.uniform(38.0, 70.0) if rng.random() < 0.4 else rng.uniform(70.0, 230.0))
    top = float(np.clip(rng.uniform(-120.0, 40.0), -190.0 + extent, 40.0))
    reach = 2.0 * (build.half_width + build.muscle + build.fat)
    field = reach * rng.uniform(1.06, 1.6)
    step = field / shape[2], field / shape[1], extent / shape[0]
    middle = np.clip(rng.normal(0, 0.18, 2), -0.4, 0.4) * (field - reach)
    x = (np.arange(shape[2]) + 0.5) * step[0] - field / 2 + middle[0]
    y = (np.arange(shape[1]) + 0.5) * step[1] - field / 2 + middle[1]
    z = top - extent + (np.arange(shape[0]) + 0.5) * step[2]
    return z.astype(np.float32), y.astype(np.float32), x.astype(np.float32)


def _wall(rng: np.random.Generator, grid: Grid) -> Voxels:
    """Paint air, skin, fat, muscle, ribs and spine (K, J, I) HU; what lies in the cavity comes later."""
    build = grid.build
    hu = np.full(grid.x.shape, -1000.0, np.float32)
    fat = build.fat * np.where(grid.y > 0, 0.75, 1.0)
    skin = shell(grid, build.muscle + build.fat + 2.5)
    hu[skin < 1] = 20.0
    hu[(shell(grid, build.muscle) / (1 + 1.9 * fat / build.half_width)) < 0.97] = -104.0
    muscle = shell(grid, build.muscle) < 1
    hu[muscle] = rng.normal(54, 5)
    side = np.abs(grid.x)
    hump = ((side - 38) / 34.0) ** 2 + ((grid.y - 0.96 * build.half_depth) / 24.0) ** 2 < 1
    hu[hump] = rng.normal(52, 6)
    phase = np.mod(grid.z / 1.05 + 36.0 * grid.v + 4.0, 27.0)
    ring = shell(grid, 0.55 * build.muscle + 3.5)
    rib = (shell(grid, 0.55 * build.muscle - 4.0) > 1) & (ring < 1) & (np.abs(phase - 13.5) < 6.0)
    rib &= (grid.z > -150 - 60 * grid.v) & (side > 34)
    hu[rib] = rng.uniform(220, 420)
    return hu


def _spine(rng: np.random.Generator, grid: Grid, hu: Voxels) -> None:
    """Paint vertebral bodies with discs, canal and processes."""
    y = grid.y - 0.70 * grid.build.half_depth
    level = (grid.x / 23.0) ** 2 + (y / 18.0) ** 2
    disc = np.mod(grid.z, 34.0) < 7.0
    hu[level < 1] = rng.uniform(130, 230)
    hu[(level < 1) & (level > 0.78)] = rng.uniform(320, 560)
    hu[(level < 1) & disc] = 85.0
    arch = (np.abs(grid.x) < 20) & (y > 14) & (y < 34) & ~disc
    hu[arch] = rng.uniform(200, 330)
    process = (
        (np.abs(grid.x) < 4.5) & (y > 30) & (grid.y < grid.build.half_depth + 0.8 * grid.build.muscle) & ~disc
    )
    hu[process] = 280.0
    wing = (np.abs(grid.x) < 46) & (np.abs(y - 24) < 5.5) & (np.abs(np.mod(grid.z, 34.0) - 20) < 7)
    hu[wing] = 260.0
    hu[(grid.x / 10.0) ** 2 + ((y - 24) / 8.5) ** 2 < 1] = 30.0


def _fill(
    rng: np.random.Generator, grid: Grid, hu: Voxels, found: dict[str, Region], *, portal: bool
) -> None:
    """Paint the organs and the gas and stool in stomach and bowel."""
    table = _PORTAL if portal else _NATIVE
    for name, region in found.items():
        if name in table:
            mean, spread = table[name]
            hu[region] = rng.normal(mean, spread)
    level = grid.v + 0.08 * rng.normal()
    hu[found["stomach"] & (level < rng.uniform(-0.75, -0.2))] = -960.0
    gas = smooth_noise(rng, grid.x.shape, (6, 11, 11))
    hu[found["bowel"] & (gas > rng.uniform(0.25, 0.9)) & (grid.v < 0.3)] = -930.0
    stool = found["bowel"] & (gas < -0.5)
    hu[stool] += 60.0 * rng.standard_normal(int(stool.sum())).astype(np.float32) - 30.0
    if portal:
        rim = found["kidneys"] & (smooth_noise(rng, grid.x.shape, (5, 20, 20)) > 0.6)
        hu[rim] += 22.0
    hu[found["aorta"]] += np.float32(rng.normal(0, 2))


def _outside(rng: np.random.Generator, grid: Grid, hu: Voxels) -> None:
    """Paint the table and, now and then, arms at the sides."""
    z, y, x = grid.straight
    build = grid.build
    bottom = build.half_depth + build.muscle + 0.75 * build.fat + rng.uniform(12, 26)
    if rng.random() < 0.65:
        curve = y - bottom + (x / rng.uniform(30, 60)) ** 2
        within = np.abs(x) < rng.uniform(180, 240)
        for offset in (0.0, rng.uniform(8, 14)):
            plate = (np.abs(curve - offset) < 2.2) & within & (hu < -900)
            hu[np.broadcast_to(plate, hu.shape) if plate.shape != hu.shape else plate] = rng.uniform(
                -250, 150
            )
    if rng.random() < 0.3:
        for side in (-1, 1):
            cx = side * (build.half_width + build.muscle + build.fat + 50) + 0.08 * z
            r = np.sqrt((x - cx) ** 2 + (y - 30) ** 2)
            arm = np.broadcast_to(r < 40, hu.shape) & (hu < -900)
            hu[arm] = -100.0
            hu[arm & np.broadcast_to(r < 34, hu.shape)] = 55.0
            hu[arm & np.broadcast_to(r < 11, hu.shape)] = 700.0
            hu[arm & np.broadcast_to(r < 6, hu.shape)] = 0.0


def _grain(rng: np.random.Generator, shape: tuple[int, ...]) -> Voxels:
    """Return reconstruction noise (K, J, I) HU: blotchy in plane, of one dose."""
    noise = gaussian_filter(
        rng.standard_normal(shape).astype(np.float32), (0.2, *([rng.uniform(0.4, 0.9)] * 2)), truncate=2
    )
    return noise * np.float32(rng.uniform(6.0, 20.0) / noise.std())


def make_abdomen_case(seed: int, *, shape: tuple[int, int, int] | None = None) -> AbdomenCase:
    """Make one CT; `shape` (K, J, I) evaluates the same body on a coarse grid, None on a clinical one."""
    rng = np.random.default_rng([seed, 30])
    build = draw_build(rng)
    grid_shape = (int(rng.integers(40, 81)), 256, 256)
    z, y, x = _axes(rng, build, shape or grid_shape)
    portal, paint = bool(rng.random() < 0.75), np.random.default_rng([seed, 31])
    grid = Grid(build, z, y, x)
    return develop(paint, seed, grid, *paint_body(paint, grid, portal=portal))


def paint_body(rng: np.random.Generator, grid: Grid, *, portal: bool) -> tuple[Voxels, dict[str, Region]]:
    """Return (K, J, I) Hounsfield units without noise, and what is told apart by them."""
    hu = _wall(rng, grid)
    found = organs(grid)
    _fill(rng, grid, hu, found, portal=portal)
    _spine(rng, grid, hu)
    _outside(rng, grid, hu)
    return hu, found


def develop(
    rng: np.random.Generator, seed: int, grid: Grid, hu: Voxels, found: dict[str, Region]
) -> AbdomenCase:
    """Blur and add the noise of a reconstruction."""
    hu = gaussian_filter(hu, (0.0, 0.5, 0.5), truncate=2) + _grain(rng, hu.shape)
    z, y, x = (np.ravel(axis) for axis in grid.straight)
    return AbdomenCase(
        seed=seed,
        voxels=np.clip(hu, -1024.0, 3071.0).astype(np.float32),
        affine=_affine(z, y, x),
        masks=_visible(found),
    )


def _visible(found: dict[str, Region]) -> dict[str, Region]:
    """Return the organs' masks as painted: what a later structure covers does not count."""
    order = list(found)
    masks: dict[str, Region] = {}
    for name in ABDOMINAL_ORGANS:
        region = found[name].copy()
        for other in order[order.index(name) + 1 :]:
            region &= ~found[other] | (found[other] & (other == "veins") & (name == "liver"))
        if region.any():
            masks[name] = region
    return masks


def _affine(z: Voxels, y: Voxels, x: Voxels) -> NDArray[np.float64]:
    """Return (k, j, i, 1) to LPS mm: k to the head, j to the back, i to the left."""
    affine = np.zeros((4, 4), np.float64)
    affine[2, 0], affine[1, 1], affine[0, 2] = (float(a[-1] - a[0]) / max(len(a) - 1, 1) for a in (z, y, x))
    affine[:, 3] = float(x[0]), float(y[0]), float(z[0]), 1.0
    return affine
