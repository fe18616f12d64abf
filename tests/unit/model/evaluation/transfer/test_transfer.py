"""Transfer is measured on what a folder holds, named where it holds nothing, and never concluded from few."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from model.errors import DatasetError, EvaluationError
from model.evaluation.commands import evaluate as command
from model.evaluation.transfer.changes import consolidation_course, spoken_of, told_sign
from model.evaluation.transfer.example import Example
from model.evaluation.transfer.pictures import (
    chest_organs,
    dark_lesion,
    otsu,
    skin_lesions,
    taken_and_declined,
)
from model.evaluation.transfer.real_sets import masked_radiographs
from model.evaluation.transfer.transfer import ENOUGH, Transfer, measure
from model.reading import ChangeStatus, Laterality
from model.report_language.changes import changes_in
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.truth import ChangeTruth
from tests.fakes import PLACES, FakeFamily

SHAPE = (200, 200)


def block(name: str) -> np.ndarray:
    j0, i0, j1, i1 = (int(v * 200) for v in PLACES[name])
    mask = np.zeros(SHAPE, np.bool_)
    mask[j0:j1, i0:i1] = True
    return mask


@cache
def chest() -> np.ndarray:
    return (make_chest_case(1, size=200, with_prior=False).current.pixels * 255).astype(np.uint8)


def publish_radiograph(folder: Path, name: str, masks: dict[str, np.ndarray], day: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(chest()).save(folder / f"{name}.jpg")
    annotations = []
    for label, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}__mask_{label}.png")
        annotations.append({"class": label, "mask": f"{name}__mask_{label}.png"})
    told = {"image": f"{name}.jpg", "annotations": annotations, "offset_days": day}
    (folder / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")


def values(examples: list[Example]) -> dict[str, float]:
    return {example.figure: example.value for example in examples}


def test_dice_of_organs_counts_the_part_behind_the_heart_apart(tmp_path: Path) -> None:
    """The fake's lungs stop short of the heart's middle; the annotators' left lung takes the heart in."""
    heart = block("heart")
    left = block("left lung") | heart
    publish_radiograph(
        tmp_path / "cxr_masks" / "p1",
        "a",
        {"left_lung": left, "right_lung": block("right lung"), "cardiomediastinum": heart},
    )
    found = values(list(chest_organs(FakeFamily(), tmp_path)))
    lung = block("left lung")
    assert found["Dice, right lung"] == 1.0
    assert found["Dice, heart"] == 1.0
    assert found["Dice, left lung"] == pytest.approx(2 * lung.sum() / (lung.sum() + left.sum()))
    assert found["Dice, left lung beside the heart"] == 1.0


def test_a_mask_that_is_missing_or_of_another_size_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cxr_masks" / "p1"
    publish_radiograph(folder, "a", {"left_lung": block("left lung")})
    Image.fromarray(np.zeros((10, 10), np.bool_)).save(folder / "a__mask_left_lung.png")
    with pytest.raises(DatasetError, match=r"a__mask_left_lung\.png is of another size"):
        masked_radiographs(tmp_path)
    (folder / "a__mask_left_lung.png").unlink()
    with pytest.raises(DatasetError, match=r"missing: a__mask_left_lung\.png"):
        masked_radiographs(tmp_path)
    (folder / "a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"missing: a\.jpg"):
        masked_radiographs(tmp_path)


RIGHT_NODULE = ChangeTruth("lung nodule", Laterality.RIGHT, None, ChangeStatus.INCREASED)


@pytest.mark.parametrize(
    ("text", "sign", "spoken"),
    [
        ("The right lung nodule has increased.", 1, True),
        ("The right lung nodule is new.", 1, True),
        ("The right lung nodule has decreased.", -1, True),
        ("The right lung nodule has resolved.", -1, True),
        ("The right lung nodule is unchanged.", 0, True),
        ("The left lung nodule has increased.", 0, False),
        ("The right lung consolidation has increased.", 0, False),
        ("The lung nodule has increased.", 1, True),
        ("No significant change.", 0, False),
    ],
)
def test_the_sign_is_of_the_same_finding_on_the_same_side(text: str, sign: int, spoken: bool) -> None:
    told = changes_in(text).value
    assert told_sign(told, RIGHT_NODULE) == sign
    assert spoken_of(told, RIGHT_NODULE) is spoken


@pytest.mark.parametrize(
    ("told", "right"),
    [
        ("The right lung consolidation has decreased.", [1.0, 1.0]),
        ("The right lung consolidation has resolved.", [1.0, 1.0]),
        ("The right lung consolidation is new.", [0.0, 0.0]),
        ("No significant change.", [0.0, 0.0]),
        ("The right lung nodule has decreased.", [0.0, 0.0]),
    ],
)
def test_the_course_of_consolidation_follows_its_outlines(
    tmp_path: Path, told: str, right: list[float]
) -> None:
    lungs = {"left_lung": block("left lung"), "right_lung": block("right lung")}
    large, small = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
    large[50:100, 30:60], small[50:70, 30:60] = True, True
    folder = tmp_path / "cxr_masks" / "p1"
    # Days in words sort otherwise than in numbers.
    publish_radiograph(folder, "b", {**lungs, "consolidation": large}, "0")
    publish_radiograph(folder, "a", {**lungs, "consolidation": small}, "7")
    publish_radiograph(folder, "c", lungs, "35")
    examples = list(consolidation_course(FakeFamily(difference=told), tmp_path))
    assert [example.value for example in examples] == right
    assert [example.case for example in examples] == ["p1, day 0 to 7", "p1, day 7 to 35"]


def test_otsu_parts_two_populations() -> None:
    rng = np.random.default_rng(0)
    mixed = np.concatenate([rng.normal(0.2, 0.03, 3000), rng.normal(0.8, 0.03, 1000)])
    assert 0.3 < otsu(mixed) < 0.7


def test_the_dark_spot_in_the_middle_is_the_lesion_and_dark_corners_are_not() -> None:
    far = np.hypot(*np.meshgrid(np.linspace(-1, 1, 120), np.linspace(-1, 1, 120)))
    pixels = np.full((120, 120, 3), 0.8, np.float32)
    pixels[far < 0.4] = 0.3
    pixels[far > 1.2] = 0.05
    pixels[55:60, 55:60] = 0.9
    found, true = dark_lesion(pixels), far < 0.4
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.95
    assert not dark_lesion(np.full((50, 50, 3), 0.5, np.float32)).any()


def test_a_mask_that_turns_with_its_picture_agrees_with_itself(tmp_path: Path) -> None:
    (tmp_path / "derm_nc").mkdir()
    pixels = np.full((100, 120, 3), 200, np.uint8)
    pixels[40:60, 48:72] = (90, 50, 40)
    Image.fromarray(pixels).save(tmp_path / "derm_nc" / "a.jpg", quality=95)
    found = values(list(skin_lesions(FakeFamily(), tmp_path)))
    assert found["Dice with itself on the mirrored picture"] == 1.0
    assert found["Dice with a threshold on darkness (no reference)"] > 0.9
    assert found["a lesion was found"] == 1.0


@pytest.mark.parametrize(("is_chest", "taken"), [(True, 1.0), (False, 0.0)])
def test_a_chest_is_taken_as_the_weights_say(tmp_path: Path, is_chest: bool, taken: float) -> None:
    publish_radiograph(tmp_path / "cxr_masks" / "p1", "a", {})
    family = FakeFamily(is_chest=is_chest)
    found = values(list(taken_and_declined(family, tmp_path)))
    assert found == {"chest taken by its pixels": taken}


def table_of(patients: int, part: str = "lungs and heart") -> str:
    examples = tuple(
        Example(part, "Dice, heart", f"c{n}", f"p{n}", 0.5 + 0.01 * (n % 9)) for n in range(patients)
    )
    result = Transfer({"name": "w", "version": "1", "sha256": "0"}, examples, ())
    (table,) = result.tables()
    return table.markdown()


def test_few_patients_have_no_interval_and_conclude_nothing() -> None:
    few, many = table_of(ENOUGH - 1), table_of(ENOUGH)
    assert "too few to conclude" in few
    assert "[" not in few
    assert "too few to conclude" not in many
    assert "[" in many


def test_two_pictures_of_one_patient_are_one_patient() -> None:
    examples = tuple(Example("lungs and heart", "Dice, heart", f"c{n}", "p", 0.5) for n in range(2 * ENOUGH))
    (table,) = Transfer({"name": "w", "version": "1", "sha256": "0"}, examples, ()).tables()
    assert "too few to conclude" in table.markdown()
    assert table.rows[0][3:5] == ("1", str(2 * ENOUGH))


def test_what_is_not_there_is_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    publish_radiograph(tmp_path / "data" / "cxr_masks" / "p1", "a", {"left_lung": block("left lung")})
    result = measure(FakeFamily(), tmp_path / "data", tmp_path / "out", lambda _: None)
    assert {example.part for example in result.examples} == {"lungs and heart", "gates"}
    named = " ".join(result.absent)
    for pattern in ("ct/*_seg.nii.gz", "derm_nc/*.jpg", "cxr/*_dcm/*.dcm", "ood/*.dcm"):
        assert pattern in named
    written = json.loads((tmp_path / "out" / "transfer.json").read_text(encoding="utf-8"))
    assert len(written["examples"]) == len(result.examples)
    page = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "Missing for organs on CT" in page


def test_a_broken_part_is_named_and_costs_only_itself(tmp_path: Path) -> None:
    publish_radiograph(tmp_path / "data" / "cxr_masks" / "p1", "a", {"left_lung": block("left lung")})
    (tmp_path / "data" / "cxr_masks" / "p1" / "a__mask_left_lung.png").unlink()
    (tmp_path / "data" / "derm_nc").mkdir()
    Image.fromarray(np.full((64, 64, 3), 180, np.uint8)).save(tmp_path / "data" / "derm_nc" / "a.jpg")
    result = measure(FakeFamily(), tmp_path / "data", tmp_path / "out", lambda _: None)
    assert any("a__mask_left_lung.png" in line for line in result.absent)
    assert {example.part for example in result.examples} == {"skin lesions"}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cxr_masks"):
        measure(FakeFamily(), tmp_path, tmp_path / "out", lambda _: None)


def test_the_command_needs_a_folder_of_pictures(tmp_path: Path) -> None:
    arguments = ["transfer", "--weights", "medversa-demo", "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(command, arguments)
    assert ran.exit_code != 0
    assert "--data" in ran.output


def test_the_real_sets_are_whole(real_data: Path) -> None:
    pictures = masked_radiographs(real_data)
    assert len(pictures) == 4
    assert len({picture.patient for picture in pictures}) == 2
    for picture in pictures:
        masks = picture.masks or {}
        assert {"left lung", "right lung", "heart"} <= masks.keys()
        columns = {name: np.nonzero(masks[name])[1].mean() for name in ("left lung", "right lung")}
        assert columns["right lung"] < columns["left lung"]
