"""What a worker process makes of the node's settings."""

from pathlib import Path

import numpy as np
import pytest

from dicom_node.settings import NodeSettings
from model.families.medversa_opening import open_released, open_weights
from model.families.medversa_saving import convert
from model.reading import ABDOMINAL_ORGANS, Modality, Reading, ReadingRequest
from model.training.phantoms.abdomen import make_abdomen_case
from model.volume import FrameKey, Geometry, Volume
from tests.released_layout import published_tensors, released_sizes, teach_to_write, write_release
from tests.small_medversa import random_network
from worker.app import WorkerProcess
from worker.request import PROTOCOLS


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint as its publishers release it, whose answers call the 3D U-Net, and the same converted."""
    released, converted = (tmp_path_factory.mktemp("weights") / name for name in ("released", "converted"))
    tensors = published_tensors(random_network(released_sizes("v0")))
    write_release(released, tensors)
    teach_to_write(tensors, open_weights(released).tokenizer, ["<3DSEG>"])
    write_release(released, tensors)
    convert(open_released(released), converted)
    return released, converted


def reading_with(weights: Path, data_dir: Path) -> Reading:
    case = make_abdomen_case(5, shape=(20, 96, 96))
    frames = tuple(FrameKey(f"1.{k}") for k in range(len(case.voxels)))
    volume = Volume(case.voxels, Geometry(case.affine), frames)
    settings = NodeSettings.model_validate(
        {"node": {"data_dir": str(data_dir)}, "worker": {"weights": str(weights), "device": "cpu"}}
    )
    request = ReadingRequest(Modality.CT, (volume,), PROTOCOLS[Modality.CT])
    return WorkerProcess(settings).reader.read(request)


def test_a_study_reads_alike_with_released_and_converted_weights(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = (reading_with(folder, tmp_path) for folder in folders)
    assert first.abstention is None
    assert len(first.answers) == len(ABDOMINAL_ORGANS)
    assert all("<3DSEG>" in answer.text for answer in first.answers)
    assert first.answers == second.answers
    assert first.caveats == second.caveats
    assert [mask.label for mask in first.masks] == [mask.label for mask in second.masks]
    assert all(np.array_equal(a.voxels, b.voxels) for a, b in zip(first.masks, second.masks, strict=True))
    assert first.conditions == second.conditions
