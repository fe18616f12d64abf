"""Chest phantoms: what is on the picture is what the truth says."""

from functools import cache

import numpy as np
import pytest

from model.reading import CHEST_FINDINGS, CHEST_ORGANS, CHEST_STRUCTURES, ChangeStatus
from model.training.phantoms.chest import LEAST_VISIBILITY, make_chest_case
from model.training.phantoms.chest_findings import JUST_SEEN, conspicuity
from model.training.phantoms.projection import Pose, Scene
from model.training.phantoms.torso import draw_torso
from model.training.phantoms.truth import ChestCase, ChestView

SEEDS = range(40)
HEART = "enlarged cardiac silhouette"


@cache
def case_of(seed: int) -> ChestCase:
    return make_chest_case(seed, size=112)


def views() -> list[ChestView]:
    cases = [case_of(seed) for seed in SEEDS]
    return [case.current for case in cases] + [case.prior for case in cases if case.prior is not None]


def width(mask: np.ndarray) -> int:
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[-1] - columns[0] + 1)


def heart_ratio(view: ChestView) -> float:
    return width(view.masks["heart"]) / width(view.masks["left lung"] | view.masks["right lung"])


def centroid_x(mask: np.ndarray) -> float:
    return float(np.nonzero(mask)[1].mean()) / mask.shape[1]


def scene_of(seed: int, view: str = "PA") -> Scene:
    torso = draw_torso(np.random.default_rng(seed))
    pose = Pose(view, 0.0, 1800.0, 5.0, 0.46, 400.0, 420.0, torso.height + 75.0, seed)
    return Scene(torso, pose, (120, 120))


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = make_chest_case(3, size=96, with_prior=True), make_chest_case(3, size=96, with_prior=True)
    assert once.prior is not None
    assert again.prior is not None
    for a, b in ((once.current, again.current), (once.prior, again.prior)):
        assert a.pixels.tobytes() == b.pixels.tobytes()
        assert a.findings == b.findings
        assert a.boxes == b.boxes
        assert all(np.array_equal(a.masks[organ], b.masks[organ]) for organ in CHEST_ORGANS)
    assert once.changes == again.changes


def _noisy(seed: int, level: float = 0.4) -> np.ndarray:
    return level + 0.02 * np.random.default_rng(seed).standard_normal((224, 224))


def _disc(radius: float, row: int = 90, column: int = 60) -> np.ndarray:
    rows, columns = np.ogrid[:224, :224]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def test_conspicuity_is_roses_ratio_of_contrast_noise_and_area() -> None:
    bare = _noisy(1)
    for radius, contrast in ((4, 0.05), (8, 0.05), (8, 0.1)):
        disc = _disc(radius)
        expected = contrast / 0.02 * disc.sum() ** 0.5 / JUST_SEEN
        assert conspicuity(bare + contrast * disc, bare, disc) == pytest.approx(expected, rel=0.1)


def test_what_a_bright_window_an_edge_or_noise_hides_is_less_conspicuous() -> None:
    disc, bare = _disc(8), _noisy(2)
    plain = conspicuity(bare + 0.05 * disc, bare, disc)
    bright = _noisy(2, 0.96)
    assert conspicuity(np.clip(bright + 0.05 * disc, 0, 1), np.clip(bright, 0, 1), disc) < 0.8 * plain
    edged = bare + 0.5 * (np.arange(224) > 62)
    assert conspicuity(edged + 0.05 * disc, edged, disc) < 0.3 * plain
    noisy = 0.4 + 3 * (bare - 0.4)
    assert conspicuity(noisy + 0.05 * disc, noisy, disc) == pytest.approx(plain / 3, rel=0.05)
    assert conspicuity(bare, bare, disc) == 0


def test_conspicuity_is_of_the_picture_as_read_whatever_its_pixels() -> None:
    disc, bare = _disc(8), _noisy(3)
    once = conspicuity(bare + 0.05 * disc, bare, disc)
    large = [np.repeat(np.repeat(one, 3, 0), 3, 1) for one in (bare + 0.05 * disc, bare, disc)]
    assert conspicuity(large[0], large[1], large[2]) == pytest.approx(once, rel=1e-3)


def test_another_seed_gives_another_person() -> None:
    assert not np.array_equal(case_of(0).current.pixels, case_of(1).current.pixels)


def test_pictures_are_float32_within_zero_and_one_and_not_flat() -> None:
    for view in views():
        assert view.pixels.dtype == np.float32
        assert view.pixels.shape == (112, 112)
        assert view.pixels.min() >= 0.0
        assert view.pixels.max() <= 1.0
        assert view.pixels.std() > 0.05


def test_image_left_is_the_patients_right() -> None:
    for view in views():
        assert centroid_x(view.masks["right lung"]) < centroid_x(view.masks["left lung"])


def test_heart_points_to_the_patients_left() -> None:
    for view in views():
        middle = (centroid_x(view.masks["right lung"]) + centroid_x(view.masks["left lung"])) / 2
        assert centroid_x(view.masks["heart"]) > middle - 0.02
    apart = [
        centroid_x(v.masks["heart"])
        - (centroid_x(v.masks["right lung"]) + centroid_x(v.masks["left lung"])) / 2
        for v in views()
    ]
    assert np.mean(apart) > 0.01


def test_right_dome_stands_higher_in_most_people() -> None:
    steps = [scene.domes["right lung"] - scene.domes["left lung"] for scene in map(scene_of, range(40))]
    assert np.mean(steps) == pytest.approx(13.0, abs=4.0)


def test_stomach_bubble_and_aortic_knob_lie_on_the_patients_left() -> None:
    for seed in range(8):
        scene = scene_of(seed)
        gas = scene._belly_gas()  # pyright: ignore[reportPrivateUsage] - no other place shows the gas alone
        if gas.any():
            assert (gas * scene.x).sum() / gas.sum() > 0
        right, left = scene.mediastinum
        row = int(np.argmin(np.abs(scene.z[:, 0] - scene.knob_z)))
        assert left[row, 0] > -right[row, 0] - 8


def test_organ_masks_do_not_overlap() -> None:
    for view in views():
        assert np.sum([view.masks[organ] for organ in CHEST_ORGANS], axis=0).max() == 1


def test_boxes_enclose_their_masks_tightly() -> None:
    for view in views():
        for organ in CHEST_ORGANS:
            rows, columns = np.nonzero(view.masks[organ])
            x1, y1, x2, y2 = (v * 112 for v in view.boxes[organ])
            assert (x1, y1) == pytest.approx((columns.min(), rows.min()))
            assert (x2, y2) == pytest.approx((columns.max() + 1, rows.max() + 1))


def test_boxes_are_known_structures_within_the_picture() -> None:
    for view in views():
        assert set(view.boxes) <= set(CHEST_STRUCTURES)
        for x1, y1, x2, y2 in [*view.boxes.values(), *(f.box for f in view.findings)]:
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1


def test_spine_and_trachea_run_between_the_lungs() -> None:
    for view in views():
        spine = view.boxes["spine"]
        middle = (spine[0] + spine[2]) / 2
        assert centroid_x(view.masks["right lung"]) < middle < centroid_x(view.masks["left lung"])
        assert view.boxes["trachea"][1] < view.boxes["heart"][1]


def test_normal_hearts_are_below_half_and_enlarged_ones_well_above() -> None:
    for view in views():
        enlarged = any(finding.label == HEART for finding in view.findings)
        # One pixel of 112 is 0.012 of the ratio's denominator; nothing may lie between the two populations.
        assert heart_ratio(view) > 0.54 if enlarged else heart_ratio(view) < 0.505


def test_heart_ratio_of_the_population_is_calibrated() -> None:
    """Twelve radiologist-masked chests measured 0.49 with a spread of 0.05."""
    assert np.mean([heart_ratio(view) for view in views()]) == pytest.approx(0.49, abs=0.05)


def test_right_to_left_lung_area_is_calibrated() -> None:
    """Radiologists' masks (0.90, spread 0.12) include the lung behind the heart, so this counts it too."""
    ratios = []
    for seed in range(40):
        scene = scene_of(seed)
        area = {}
        for lung, side in (("right lung", -1.0), ("left lung", 1.0)):
            away = side * scene.x
            inside = (away > 20) & (away < scene.lateral[lung]) & (scene.z > scene.dome(lung))
            area[lung] = int((inside & (scene.fields[lung] | scene.heart[1])).sum())
        ratios.append(area["right lung"] / area["left lung"])
    assert np.mean(ratios) == pytest.approx(0.90, abs=0.12)


def test_findings_are_named_visible_and_sized() -> None:
    for view in views():
        for finding in view.findings:
            assert finding.label in CHEST_FINDINGS
            assert finding.visibility >= LEAST_VISIBILITY
            assert 0 < finding.extent <= 1
            assert finding.zone in (None, "upper", "mid", "lower")
            assert (finding.laterality is None) == (finding.label == HEART)


def test_findings_lie_on_the_side_they_name() -> None:
    for view in views():
        spine = (view.boxes["spine"][0] + view.boxes["spine"][2]) / 2
        for finding in view.findings:
            middle = (finding.box[0] + finding.box[2]) / 2
            if finding.laterality == "right":
                assert middle < spine
            if finding.laterality == "left":
                assert middle > spine


def test_a_quarter_is_normal_and_every_finding_occurs() -> None:
    cases = [case_of(seed) for seed in SEEDS]
    normal = np.mean([not case.current.findings for case in cases])
    assert 0.1 <= normal <= 0.45
    assert {finding.label for view in views() for finding in view.findings} == set(CHEST_FINDINGS)


def test_most_people_have_a_prior_unless_told() -> None:
    assert 0.7 <= np.mean([case_of(seed).prior is not None for seed in SEEDS]) <= 0.97
    assert make_chest_case(1, size=64, with_prior=False).prior is None
    assert make_chest_case(1, size=64, with_prior=True).prior is not None


def test_changes_agree_with_the_extents_of_both_dates() -> None:
    seen: set[ChangeStatus] = set()
    for seed in SEEDS:
        case = case_of(seed)
        if case.prior is None:
            assert case.changes == ()
            continue
        now = {finding.label: finding.extent for finding in case.current.findings}
        before = {finding.label: finding.extent for finding in case.prior.findings}
        assert {change.label for change in case.changes} == now.keys() | before.keys()
        for change in case.changes:
            seen.add(change.status)
            ratio = now.get(change.label, 0.0) / before.get(change.label, np.inf)
            expected = {
                ChangeStatus.NEW: change.label not in before,
                ChangeStatus.RESOLVED: change.label not in now,
                ChangeStatus.INCREASED: ratio >= 1.5,
                ChangeStatus.DECREASED: 0 < ratio <= 1 / 1.5,
                ChangeStatus.UNCHANGED: 1 / 1.1 <= ratio <= 1.1,
            }
            assert expected[change.status]
    assert seen == set(ChangeStatus)


def test_magnification_enlarges_the_heart_in_ap_not_in_pa() -> None:
    """The heart lies in front: nearer the detector in PA, nearer the source in AP."""
    assert float(scene_of(0, "AP").magnification(-24.0)) > 1.0 > float(scene_of(0, "PA").magnification(-24.0))


def test_spectrum_falls_like_a_radiographs() -> None:
    """Nine NIH radiographs at 224 pixels measured -3.2 to -3.5; the slope here is of 112-pixel pictures."""
    slopes = []
    for seed in range(12):
        pixels = case_of(seed).current.pixels.astype(np.float64)
        window = np.hanning(112)
        power = np.abs(np.fft.fftshift(np.fft.fft2((pixels - pixels.mean()) * np.outer(window, window)))) ** 2
        row, column = np.indices(power.shape) - 56
        ring = np.hypot(row, column).astype(int).ravel()
        mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
        k = np.arange(4, 52)
        slopes.append(np.polyfit(np.log(k), np.log(mean[k]), 1)[0])
    assert np.mean(slopes) == pytest.approx(-3.4, abs=0.5)
