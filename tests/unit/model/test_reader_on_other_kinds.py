"""The walk through an abdomen and a skin lesion with a family that answers by script."""

from dataclasses import replace

import numpy as np
import pytest

from model.families.family import Generation
from model.reading import (
    NO_PRIOR,
    SKIN_LESIONS,
    Laterality,
    Modality,
    Presence,
    ReadingRequest,
    Task,
)
from model.volume import FrameKey, Geometry, Orientation, PlanarImage, Volume
from tests.scripted_family import concludes_nothing, image, read, rectangle, told


def abdomen(orientation: Orientation | None = None) -> ReadingRequest:
    rng = np.random.default_rng(0)
    voxels = np.full((4, 80, 96), -1000, np.float32)
    voxels[:, 20:60, 20:70] = rng.normal(60, 10, (4, 40, 50))
    frames = tuple(FrameKey(f"1.3.{k}") for k in range(4))
    geometry = Geometry(np.diag([5.0, 2.0, 1.0, 1.0]))
    volume = Volume(voxels, geometry, frames, orientation or Orientation())
    return ReadingRequest(Modality.CT, (volume,), (Task.SEGMENTATION,))


def abdominal_script() -> dict[str, Generation]:
    masks = {name: np.zeros((4, 80, 96), np.float32) for name in ("liver", "spleen", "kidneys")}
    masks["liver"][1:3, 20:40, 20:40] = 1
    masks["spleen"][1, 20:30, 60:70] = 1
    masks["kidneys"][1:3, 45:55, 25:35] = 1
    masks["kidneys"][1:3, 45:55, 55:64] = 1
    masks["kidneys"][0, 0, 0] = 1
    script = {
        f"Segment the {name}.": Generation(f"The segmentation mask of {name} is <3DSEG>.", 0, masks=(mask,))
        for name, mask in masks.items()
    }
    return {**script, "Segment the pancreas.": Generation("There is no pancreas in the volume.", 0)}


def test_an_abdomen_is_segmented_with_volumes() -> None:
    reading = read(abdomen(), abdominal_script())
    assert [mask.label for mask in reading.masks] == ["liver", "spleen", "kidneys"]
    # 2 x 20 x 20 voxels of 10 mm3; 10 x 10; 2 x 10 x (10 + 9): both kidneys, not the speck.
    expected = "Segmented volumes: liver 8 ml, spleen 1 ml, kidneys 4 ml."
    assert reading.narrative is not None
    assert reading.narrative.findings == expected
    assert reading.masks[2].laterality is Laterality.BILATERAL
    assert set(reading.caveats) == {"No pancreas was found.", NO_PRIOR}


def test_organ_at_the_edge_of_the_slab_is_told() -> None:
    whole = np.zeros((4, 80, 96), np.float32)
    whole[2:, 20:40, 20:40] = 1
    cut = Generation("The segmentation mask of liver is <3DSEG>.", 0, masks=(whole,))
    reading = read(abdomen(), {**abdominal_script(), "Segment the liver.": cut})
    assert told(reading, "The liver may reach beyond the scanned slices")


def test_masks_of_a_turned_volume_return_to_its_stored_grid() -> None:
    turned = Orientation(transposed=True, rows_flipped=True)
    request = abdomen(turned)
    mask = read(request, abdominal_script()).masks[1]
    (volume,) = request.images
    assert isinstance(volume, Volume)
    assert mask.voxels.shape == (4, 96, 80)
    assert mask.geometry is not None
    here = mask.geometry.to_patient(np.argwhere(mask.voxels).astype(float))
    seen = np.zeros((4, 80, 96), np.bool_)
    seen[1, 20:30, 60:70] = True
    there = volume.geometry.to_patient(np.argwhere(seen).astype(float))
    assert set(map(tuple, here.tolist())) == set(map(tuple, there.tolist()))


def skin() -> ReadingRequest:
    pixels = np.repeat(image().pixels[..., None], 3, axis=2)
    photo = PlanarImage(pixels, FrameKey("1.4"))
    return ReadingRequest(Modality.DERM, (photo,), (Task.CLASSIFICATION, Task.SEGMENTATION))


@pytest.mark.parametrize("diagnosis", SKIN_LESIONS)
def test_a_skin_lesion_is_named_and_outlined(diagnosis: str) -> None:
    script = {
        "What is primary diagnosis?": Generation(f"The main diagnosis is {diagnosis}.", 0),
        "Segment the lesion.": Generation(
            "The segmentation mask of lesion is <2DSEG>.", 0, masks=(rectangle(40, 40, 90, 90),)
        ),
    }
    reading = read(skin(), script)
    assert [(f.label, f.presence) for f in reading.findings] == [(diagnosis, Presence.PRESENT)]
    assert reading.masks[0].label == "lesion"
    assert reading.narrative is not None
    assert reading.narrative.impression == f"The main diagnosis is {diagnosis}."


def test_photograph_without_a_lesion_is_declined() -> None:
    script = {
        "What is primary diagnosis?": Generation("The main diagnosis is melanoma.", 0),
        "Segment the lesion.": Generation("There is no lesion in the image.", 0),
    }
    reading = read(skin(), script)
    assert reading.abstention == "No skin lesion was found."
    assert concludes_nothing(reading)


def test_task_that_a_modality_does_not_have_is_told() -> None:
    request = replace(abdomen(), tasks=(Task.SEGMENTATION, Task.PATHOLOGY_DETECTION))
    reading = read(request, abdominal_script())
    assert reading.tasks_done == (Task.SEGMENTATION,)
    assert told(reading, "Not done: pathology detection.")
