"""Solid torsos: one anatomy from every side, and path lengths that are those of the voxels."""

from functools import cache

import numpy as np
import pytest

from model.reading import Laterality
from model.training.phantoms.beam import Beam
from model.training.phantoms.chest_findings import Lesion
from model.training.phantoms.solid_findings import FILL, ROUND, silhouette
from model.training.phantoms.solid_torso import STEP_MM, Breath, SolidTorso
from model.training.phantoms.strokes import Cloud
from model.training.phantoms.torso import draw_torso

SEEDS = range(3)
SIZE = 128


@cache
def body_of(seed: int, ratio: float = 0.45) -> SolidTorso:
    return SolidTorso(draw_torso(np.random.default_rng(seed)), Breath(6.0, ratio, seed))


def beam(view: str, body: SolidTorso, focus_mm: float = 1800.0) -> Beam:
    return Beam(view, focus_mm, 0.0, 1.5 * body.torso.height, body.torso.height + 45.0, SIZE)


def columns(mask: np.ndarray) -> tuple[int, int]:
    found = np.flatnonzero(mask.any(axis=0))
    return int(found[0]), int(found[-1]) + 1


def block(body: SolidTorso, where: tuple[slice, slice, slice]) -> np.ndarray:
    voxels = np.zeros(body.shape, np.float32)
    voxels[where] = 1.0
    return voxels


@pytest.mark.parametrize(("view", "depth"), [("PA", 12), ("AP", 12), ("LL", 30)])
def test_a_block_of_water_is_as_thick_as_it_is_deep(view: str, depth: int) -> None:
    body = body_of(0)
    voxels = block(body, np.s_[60:120, 40:52, 50:80])
    assert beam(view, body).project(body, voxels).max() == pytest.approx(depth * STEP_MM, rel=1e-3)


def test_what_lies_nearer_the_source_is_larger() -> None:
    body = body_of(0)
    front = block(body, np.s_[60:120, 20:24, 50:80])
    back = block(body, np.s_[60:120, -24:-20, 50:80])
    areas = {
        (view, name): float(beam(view, body, 1000.0).project(body, voxels).sum())
        for view in ("PA", "AP")
        for name, voxels in (("front", front), ("back", back))
    }
    assert areas["PA", "back"] > 1.1 * areas["PA", "front"]
    assert areas["AP", "front"] > 1.1 * areas["AP", "back"]


@pytest.mark.parametrize("view", ["PA", "AP", "LL"])
@pytest.mark.parametrize("turn", [0.0, 0.08])
def test_a_cloud_falls_where_the_voxel_falls(view: str, turn: float) -> None:
    body = body_of(0)
    k, j, i = 70, 45, 60
    middle = [
        (i + 0.5 - body.shape[2] / 2) * STEP_MM,
        (j + 0.5 - body.shape[1] / 2) * STEP_MM,
        body.top_mm - (k + 0.5) * STEP_MM,
    ]
    taken = Beam(view, 1200.0, turn, 400.0, body.torso.height + 45.0, SIZE)
    cloud = Cloud(np.array([middle], np.float32), np.array([1000.0], np.float32))
    pictures = [
        taken.splat(body, cloud),
        taken.project(body, block(body, np.s_[k : k + 1, j : j + 1, i : i + 1])),
    ]
    places = [np.average(np.indices(p.shape).reshape(2, -1), axis=1, weights=p.ravel()) for p in pictures]
    assert places[0] == pytest.approx(places[1], abs=0.6)
    assert pictures[0].sum() * taken.pitch_mm**2 == pytest.approx(1000.0, rel=1e-4)


def test_lungs_hold_litres_and_lie_beside_the_heart() -> None:
    """Total lung capacity of adults is about 4 to 8 litres (Stocks and Quanjer 1995)."""
    for seed in SEEDS:
        body = body_of(seed)
        volumes = {lung: region.sum() * STEP_MM**3 / 1e6 for lung, region in body.lungs.items()}
        assert 3.0 < sum(volumes.values()) < 9.0
        assert 0.9 < volumes["right lung"] / volumes["left lung"] < 1.4
        for region in body.lungs.values():
            assert not (region & body.heart).any()
            assert not (region & body.spine).any()
            assert not (region & ~body.body).any()


def test_left_is_left_and_front_is_front() -> None:
    for seed in SEEDS:
        body = body_of(seed)
        middles = {
            n: np.argwhere(r).mean(axis=0)
            for n, r in {**body.lungs, "heart": body.heart, "spine": body.spine}.items()
        }
        assert middles["right lung"][2] < middles["spine"][2] < middles["left lung"][2]
        assert middles["heart"][2] > (middles["right lung"][2] + middles["left lung"][2]) / 2 - 1
        assert middles["heart"][1] < middles["spine"][1] - 15
        frontal, lateral = (beam(view, body).project(body, body.heart) for view in ("PA", "LL"))
        spine = beam("LL", body).project(body, body.spine)
        assert columns(lateral > 3)[1] <= columns(spine > 3)[1]
        assert np.nonzero(frontal > 3)[1].mean() > SIZE / 2 - 2


def test_the_heart_is_wider_in_ap() -> None:
    for seed in SEEDS:
        body = body_of(seed)
        widths = {}
        for view, focus in (("PA", 1800.0), ("AP", 1000.0)):
            left, right = columns(beam(view, body, focus).project(body, body.heart) > 3)
            widths[view] = right - left
        assert widths["AP"] > widths["PA"]


@pytest.mark.parametrize("ratio", [0.42, 0.46, 0.6])
def test_the_heart_has_the_ratio_that_is_asked_for(ratio: float) -> None:
    body = body_of(1, ratio)
    taken = beam("PA", body, 1e6)
    heart = columns(taken.project(body, body.heart) > 2)
    chest = columns(
        sum(taken.project(body, r & body.front.fields[n][:, None]) for n, r in body.lungs.items()) > 2
    )
    assert (heart[1] - heart[0]) / (chest[1] - chest[0]) == pytest.approx(ratio, abs=0.035)


def lesion(label: str, side: Laterality | None = Laterality.RIGHT) -> Lesion:
    return Lesion(label, side, 0.5, 0.5, 7)


@pytest.mark.parametrize("extent", [0.5, 0.9])
def test_a_nodule_has_the_volume_of_its_ball(extent: float) -> None:
    """35 mm across at extent 1; lobulation of a few percent."""
    solid = FILL["lung nodule"](lesion("lung nodule"), extent, body_of(0))
    radius = extent * 35.0 / 2
    assert solid.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.12)
    assert solid.diameter_mm == pytest.approx(2 * radius, rel=0.04)


@pytest.mark.parametrize("label", sorted(ROUND))
def test_volume_grows_as_the_cube_of_the_diameter(label: str) -> None:
    small, large = (FILL[label](lesion(label), extent, body_of(0)) for extent in (0.5, 0.75))
    assert large.volume_ml / small.volume_ml == pytest.approx((large.diameter_mm / small.diameter_mm) ** 3)
    if label == "lung nodule":
        assert large.diameter_mm / small.diameter_mm == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize("label", ["lung nodule", "consolidation", "pleural effusion", "pneumothorax"])
def test_findings_lie_in_their_lung_and_grow(label: str) -> None:
    for side, own in ((Laterality.RIGHT, "right lung"), (Laterality.LEFT, "left lung")):
        body = body_of(2)
        small, large = (FILL[label](lesion(label, side), extent, body) for extent in (0.45, 0.8))
        assert 0 < small.volume_ml < large.volume_ml
        assert not ((large.filled > 0) & ~body.lungs[own]).any()
        assert float(large.filled.max()) <= 1.0


@pytest.mark.parametrize("view", ["PA", "LL"])
def test_the_drawn_pixels_hold_the_volume(view: str) -> None:
    body = body_of(0)
    solid = FILL["lung nodule"](lesion("lung nodule"), 0.9, body)
    taken = beam(view, body, 1e7)
    drawn = taken.project(body, solid.filled)
    assert drawn.sum() * taken.pitch_mm**2 / 1000 == pytest.approx(solid.volume_ml, rel=0.02)
    region = silhouette(drawn, solid)
    # A disc of the ball's diameter, seen from far away.
    assert region.sum() * taken.pitch_mm**2 == pytest.approx(np.pi * solid.diameter_mm**2 / 4, rel=0.12)


def test_an_effusion_lies_low_and_a_pneumothorax_high() -> None:
    body = body_of(0)
    heights = {}
    for label in ("pleural effusion", "pneumothorax"):
        filled = FILL[label](lesion(label), 0.5, body).filled
        heights[label] = np.argwhere(filled > 0.5)[:, 0].mean()
    assert heights["pleural effusion"] > heights["pneumothorax"] + 40
