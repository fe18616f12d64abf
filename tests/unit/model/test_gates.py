"""Pixels that hold nothing to judge are declined, with the reason."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import AbstentionError
from model.families.family import Generation
from model.gates import check_gate_answers, check_lungs, check_pixels, heart_is_on_the_right
from model.reading import Modality
from model.volume import FrameKey, Geometry, PlanarImage, View, Volume

RNG = np.random.default_rng(5)


def planar(pixels: NDArray[np.float64]) -> PlanarImage:
    return PlanarImage(pixels.astype(np.float32), FrameKey("1.2"))


def volume(voxels: NDArray[np.float64]) -> Volume:
    frames = tuple(FrameKey(f"1.{k}") for k in range(len(voxels)))
    return Volume(voxels.astype(np.float32), Geometry(np.eye(4)), frames)


GRADIENT = np.tile(np.linspace(0, 1, 128), (128, 1))


def body() -> NDArray[np.float64]:
    voxels = np.full((4, 96, 96), -1000.0)
    voxels[:, 20:70, 20:70] = RNG.normal(50, 15, (4, 50, 50))
    return voxels


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((1, 1)), "too small"),
        (GRADIENT[:63], "too small"),
        (np.zeros((128, 128)), "blank"),
        (np.full((128, 128), 0.7), "blank"),
        (np.where(GRADIENT > 0.5, 1.0, 0.0), "grey levels"),
        (np.full((128, 128), np.nan), "no numbers"),
        (RNG.random((128, 128)), "noise"),
    ],
)
def test_empty_picture_is_declined(pixels: NDArray[np.float64], reason: str) -> None:
    with pytest.raises(AbstentionError, match=reason):
        check_pixels(Modality.CXR, [planar(pixels)])


def test_picture_with_content_passes() -> None:
    check_pixels(Modality.CXR, [planar(GRADIENT)])
    check_pixels(Modality.DERM, [planar(np.repeat(GRADIENT[..., None], 3, axis=2))])


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.full((4, 96, 96), -1000.0), "soft tissue"),
        (np.full((4, 96, 96), 50.0), "soft tissue"),
        (body()[:, :60], "too small"),
        (np.clip(body(), 0, None), "no air"),
        (np.full((4, 96, 96), np.nan), "no numbers"),
        (RNG.uniform(-1000, 1000, (4, 96, 96)), "noise"),
    ],
)
def test_volume_without_a_body_is_declined(voxels: NDArray[np.float64], reason: str) -> None:
    with pytest.raises(AbstentionError, match=reason):
        check_pixels(Modality.CT, [volume(voxels)])


def test_volume_with_a_body_passes() -> None:
    check_pixels(Modality.CT, [volume(body())])


def test_photograph_must_have_the_colours_of_skin() -> None:
    blue = GRADIENT[..., None] * np.array([0.3, 0.5, 1.0])
    with pytest.raises(AbstentionError, match="colours of skin"):
        check_pixels(Modality.DERM, [planar(blue)])
    with pytest.raises(AbstentionError, match="no colours"):
        check_pixels(Modality.DERM, [planar(GRADIENT)])


def test_photograph_is_no_radiograph() -> None:
    photograph = GRADIENT[..., None] * np.array([1.0, 0.7, 0.5])
    with pytest.raises(AbstentionError, match="in colour"):
        check_pixels(Modality.CXR, [planar(photograph)])
    check_pixels(Modality.CXR, [planar(np.repeat(GRADIENT[..., None], 3, axis=2))])


def test_lateral_view_alone_is_declined() -> None:
    frontal, lateral = planar(GRADIENT), replace(planar(GRADIENT), view=View.LATERAL)
    with pytest.raises(AbstentionError, match="no frontal view"):
        check_pixels(Modality.CXR, [lateral])
    check_pixels(Modality.CXR, [frontal, lateral])


def test_wrong_kind_of_image_is_declined() -> None:
    with pytest.raises(AbstentionError, match="kind"):
        check_pixels(Modality.CT, [planar(GRADIENT)])
    with pytest.raises(AbstentionError, match="no image"):
        check_pixels(Modality.CXR, [])


def lung(columns: slice, rows: slice = slice(20, 90)) -> NDArray[np.bool_]:
    mask = np.zeros((128, 128), np.bool_)
    mask[rows, columns] = True
    return mask


RIGHT, LEFT = lung(slice(15, 55)), lung(slice(75, 110))


def test_lungs_in_place_pass() -> None:
    check_lungs({"right lung": RIGHT, "left lung": LEFT, "heart": lung(slice(50, 70))})


@pytest.mark.parametrize(
    ("masks", "reason"),
    [
        ({"right lung": RIGHT}, "left lung was not found"),
        ({"right lung": RIGHT, "left lung": np.zeros((128, 128), np.bool_)}, "left lung was not found"),
        ({"right lung": LEFT, "left lung": RIGHT}, "wrong sides"),
        ({"right lung": RIGHT, "left lung": lung(slice(80, 84))}, "implausible"),
        ({"right lung": lung(slice(0, 100), slice(0, 128)), "left lung": LEFT}, "implausible"),
        (
            {
                "right lung": lung(slice(0, 60), slice(0, 120)),
                "left lung": lung(slice(90, 110), slice(20, 60)),
            },
            "differ implausibly in size",
        ),
        ({"right lung": lung(slice(15, 55), slice(0, 50)), "left lung": lung(slice(75, 110), slice(70, 128))},
         "heights"),
        ({"right lung": lung(slice(15, 80)), "left lung": lung(slice(50, 110))}, "over each other"),
    ],
)  # fmt: skip
def test_implausible_lungs_are_declined(masks: dict[str, NDArray[np.bool_]], reason: str) -> None:
    with pytest.raises(AbstentionError, match=reason):
        check_lungs(masks)


@pytest.mark.parametrize(("columns", "expected"), [(slice(52, 82), False), (slice(42, 72), True)])
def test_heart_on_the_right_is_noticed(columns: slice, expected: bool) -> None:
    # The lungs' centres are at 34.5 and 92, their middle at 63.25; the hearts' centres at 66.5 and 56.5.
    masks = {"right lung": RIGHT, "left lung": LEFT, "heart": lung(columns)}
    assert heart_is_on_the_right(masks) is expected


def test_missing_organ_says_nothing_of_sides() -> None:
    assert not heart_is_on_the_right({"right lung": RIGHT, "left lung": LEFT})


def gate_answers(*told: tuple[str, float]) -> list[Generation]:
    return [Generation(text, 0.0, certainty=certainty) for text, certainty in told]


def test_gate_answer_decides() -> None:
    assert check_gate_answers(gate_answers(("A frontal chest radiograph.", 1.0))) is None
    with pytest.raises(AbstentionError):
        check_gate_answers(gate_answers(("Not a frontal chest radiograph.", 0.95)))


def test_unsure_gate_answer_is_a_caveat_and_nonsense_is_none() -> None:
    doubt = check_gate_answers(gate_answers(("Not a frontal chest radiograph.", 0.6)))
    assert doubt is not None
    assert "not sure" in doubt
    with pytest.raises(AbstentionError):
        check_gate_answers(gate_answers(("The heart is large.", 0.6)))


@pytest.mark.parametrize("other", ["Not a frontal chest radiograph.", "The heart is large."])
def test_one_wording_that_is_answered_otherwise_is_a_caveat(other: str) -> None:
    told = check_gate_answers(gate_answers((other, 0.99), ("A frontal chest radiograph.", 0.6)))
    assert told == "The model is not sure that this is a frontal chest radiograph."


def test_no_wording_in_which_it_is_a_chest_declines_even_if_one_answer_is_unsure() -> None:
    with pytest.raises(AbstentionError):
        check_gate_answers(gate_answers(*[("Not a frontal chest radiograph.", c) for c in (0.6, 0.9)]))
