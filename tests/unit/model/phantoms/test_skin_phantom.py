"""Skin phantoms: seven classes with their own look, and an exact lesion mask."""

from functools import cache

import numpy as np

from model.reading import SKIN_LESIONS
from model.training.phantoms.dermoscopy import make_skin_case
from model.training.phantoms.truth import SkinCase


@cache
def case_of(seed: int) -> SkinCase:
    return make_skin_case(seed, size=96)


def of_class(diagnosis: str) -> list[SkinCase]:
    return [case for case in map(case_of, range(70)) if case.diagnosis == diagnosis]


def contrast(case: SkinCase) -> np.ndarray:
    """Median colour of the lesion less that of the skin in the middle of the picture."""
    ring = np.zeros_like(case.mask)
    ring[10:-10, 10:-10] = True
    return np.median(case.pixels[case.mask], axis=0) - np.median(case.pixels[ring & ~case.mask], axis=0)


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = make_skin_case(11, size=80), make_skin_case(11, size=80)
    assert once.pixels.tobytes() == again.pixels.tobytes()
    assert np.array_equal(once.mask, again.mask)
    assert once.diagnosis == again.diagnosis


def test_every_class_occurs_about_equally_often() -> None:
    counts = [len(of_class(diagnosis)) for diagnosis in SKIN_LESIONS]
    assert sum(counts) == 70
    assert min(counts) >= 3


def test_pictures_are_rgb_within_zero_and_one() -> None:
    case = case_of(0)
    assert case.pixels.shape == (96, 96, 3)
    assert case.pixels.dtype == np.float32
    assert case.pixels.min() >= 0
    assert case.pixels.max() <= 1


def test_a_lesion_leaves_skin_around_it() -> None:
    for seed in range(70):
        assert 0.01 < case_of(seed).mask.mean() < 0.8


def test_melanoma_is_larger_than_nevus() -> None:
    area = {d: np.mean([case.mask.mean() for case in of_class(d)]) for d in ("melanoma", "melanocytic nevus")}
    assert area["melanoma"] > 1.4 * area["melanocytic nevus"]


def test_melanoma_has_more_colours_than_nevus() -> None:
    def spread(diagnosis: str) -> float:
        return float(np.mean([case.pixels[case.mask].std(axis=0).mean() for case in of_class(diagnosis)]))

    assert spread("melanoma") > spread("melanocytic nevus")


def test_vascular_lesions_lose_green_and_pigmented_ones_lose_red() -> None:
    vascular = np.mean([contrast(case) for case in of_class("vascular lesion")], axis=0)
    nevus = np.mean([contrast(case) for case in of_class("melanocytic nevus")], axis=0)
    assert vascular[1] < vascular[0] - 0.05
    assert nevus[0] < -0.03
    assert vascular[1] - vascular[0] < nevus[1] - nevus[0]


def test_melanoma_border_is_less_regular_than_a_nevus() -> None:
    def roughness(case: SkinCase) -> float:
        mask = case.mask
        edge = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
        return float(edge) / np.sqrt(mask.sum())

    mean = {d: np.mean([roughness(case) for case in of_class(d)]) for d in ("melanoma", "melanocytic nevus")}
    assert mean["melanoma"] > mean["melanocytic nevus"]
