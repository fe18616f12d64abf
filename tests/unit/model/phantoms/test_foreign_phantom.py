"""Pictures to decline: many kinds, none of them an upright frontal chest."""

from pathlib import Path

import numpy as np
import pytest

from model.training.phantoms.contact_sheet import contact_sheet
from model.training.phantoms.foreign import MAKE, make_foreign_case


def test_same_seed_gives_the_same_bytes() -> None:
    once, again = make_foreign_case(4, size=80), make_foreign_case(4, size=80)
    assert once.kind == again.kind
    assert once.pixels.tobytes() == again.pixels.tobytes()


def test_kinds_that_the_brief_of_a_chest_model_fears_all_occur() -> None:
    kinds = {make_foreign_case(seed, size=32).kind for seed in range(90)}
    assert {
        "lateral",
        "limb",
        "abdomen",
        "animal",
        "skull",
        "skin",
        "turned chest",
        "noise",
        "letters",
    } <= kinds


@pytest.mark.parametrize("kind", list(MAKE))
def test_every_kind_is_a_finite_square_picture(kind: str) -> None:
    pixels = MAKE[kind](np.random.default_rng(2), 64)
    assert pixels.shape == (64, 64)
    assert np.isfinite(pixels).all()


def test_pixels_lie_within_zero_and_one() -> None:
    for seed in range(20):
        case = make_foreign_case(seed, size=64)
        assert case.pixels.dtype == np.float32
        assert case.pixels.min() >= 0
        assert case.pixels.max() <= 1


def test_a_blank_is_flat_and_a_radiograph_is_not() -> None:
    assert MAKE["blank"](np.random.default_rng(0), 64).std() < 0.01
    assert MAKE["lateral"](np.random.default_rng(0), 64).std() > 0.05


def test_contact_sheet_writes_a_picture(tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    contact_sheet(target, 0)
    assert target.read_bytes().startswith(b"\x89PNG")
