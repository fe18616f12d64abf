"""Where the pictures lie that CheXmask has masks of, and which split their own publishers put them into."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import RowError
from model.training.datasets.chexpert import PATH as CHEXPERT_PATH
from model.training.datasets.mimic_images import MimicImages
from model.training.datasets.nih_chest_xray import picture_paths, published_lists, split_of
from model.training.datasets.physionet import MIMIC_CXR_JPG, Project
from model.training.datasets.published_files import first_existing
from model.training.datasets.record import RecordImage, Split
from model.training.datasets.splits import in_tenth
from model.training.datasets.tables import Table

VINDR_CXR = Project("vindr-cxr", ("1.0.0",))
_CHEXPERT = ("CheXpert-v1.0", "CheXpert-v1.0-small", "CheXpert")
_NIH, _PADCHEST = "ChestX-Ray8", "Padchest"
_PADCHEST_TABLES = tuple(
    f"{_PADCHEST}/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv{suffix}" for suffix in ("", ".gz")
)

_SPLITS: Mapping[str, Split] = {"train": "train", "valid": "validate", "test": "test"}
_PROJECTIONS: Mapping[str, str] = {"L": "LATERAL", "AP_horizontal": "AP"}


@dataclass(frozen=True, slots=True)
class Shown:
    """The picture that a row of masks belongs to."""

    image: RecordImage
    subject: str
    study: str
    split: Split


Find = Callable[[str], Shown]
"""Finds a picture by its identifier; raises RowError where its publisher does not name it."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A dataset that CheXmask has a table for."""

    key: str
    """Column that identifies pictures."""
    address: str
    """Where the pictures are published."""
    finder: Callable[[Path], Find]
    """Reads what is needed of a source folder; raises DatasetError where a table is missing."""


def _mimic(source: Path) -> Find:
    images = MimicImages(source)

    def find(key: str) -> Shown:
        image = images.image(key)
        shown = RecordImage(f"{images.folder}/{image.file}", image.view, image.size)
        return Shown(shown, image.subject, image.study, images.split(image.study))

    return find


def _chexpert(source: Path) -> Find:
    folder = first_existing(source, _CHEXPERT)

    def find(key: str) -> Shown:
        found = CHEXPERT_PATH.search(key)
        if found is None:
            raise RowError("Path leads to no view of a study")
        path, patient, study, side = found.groups()
        image = RecordImage(f"{folder}/{path}", "FRONTAL" if side == "frontal" else "LATERAL")
        return Shown(image, patient, f"{patient}/{study}", _SPLITS[path.split("/")[0]])

    return find


def _nih(source: Path) -> Find:
    folder = source / _NIH
    paths, lists = picture_paths(folder), published_lists(folder)

    def find(key: str) -> Shown:
        patient, _, followup = key.removesuffix(".png").partition("_")
        if not patient.isdecimal():
            raise RowError("Image Index holds no patient")
        image = RecordImage(f"{_NIH}/{paths.get(key, f'images/{key}')}")
        return Shown(image, str(int(patient)), f"{patient}/{followup}", split_of(lists.get(key), patient))

    return find


def _padchest(source: Path) -> Find:
    table = Table(source / first_existing(source, _PADCHEST_TABLES), ("ImageID", "ImageDir", "PatientID"))
    rows = {
        row["ImageID"]: (row["ImageDir"], row["PatientID"], row["StudyID"], row["Projection"])
        for row in table
    }

    def find(key: str) -> Shown:
        if key not in rows:
            raise RowError("PadChest does not name its image")
        folder, patient, study, projection = rows[key]
        paths = (f"{_PADCHEST}/{folder}/{key}", f"{_PADCHEST}/{key}")
        image = RecordImage(first_existing(source, paths), _PROJECTIONS.get(projection, projection) or None)
        return Shown(image, patient, study, "test" if in_tenth(patient, "padchest") else "train")

    return find


def _vindr(source: Path) -> Find:
    folder = VINDR_CXR.folder(source)

    def find(key: str) -> Shown:
        path = first_existing(source, [f"{folder}/{part}/{key}.dicom" for part in ("train", "test")])
        return Shown(RecordImage(path, "PA"), key, key, _SPLITS[path.split("/")[-2]])

    return find


IMAGE_SOURCES: Mapping[str, ImageSource] = {
    "MIMIC-CXR-JPG": ImageSource("dicom_id", MIMIC_CXR_JPG.page, _mimic),
    "CheXpert": ImageSource("Path", "https://stanfordmlgroup.github.io/competitions/chexpert/", _chexpert),
    "ChestX-Ray8": ImageSource("Image Index", "https://nihcc.app.box.com/v/ChestXray-NIHCC", _nih),
    "Padchest": ImageSource("ImageID", "https://bimcv.cipf.es/bimcv-projects/padchest/", _padchest),
    "VinDr-CXR": ImageSource("image_id", VINDR_CXR.page, _vindr),
}
"""By the name of CheXmask's table."""
