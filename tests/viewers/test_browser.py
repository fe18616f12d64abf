"""A real browser shows our results on their source: DICOMweb from Orthanc, OHIF's readers, every pixel."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from model.reading import BoundingBox
from model.volume import FrameKey
from structured_reports.colours import colour_of
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import RUN, ct_slices, dermoscopy, header, radiograph
from tests.viewers.archive import NEEDED_PLUGINS, PLUGINS, Archive, Browser, running_archive
from tests.viewers.ohif import FOLDER, bundled
from tests.viewers.shown_readings import Shown, captured_frames, chest, ct_with_boxes, on_frame, skin
from worker.demo.servers import find_program

SCALE = 4
MAGENTA = (255, 0, 255)
TOLERANCE = 4
"""Grey levels: CIELab in DICOM is coarse, and halves are rounded."""


def painted(number: int, *images: Dataset) -> tuple[Dataset, ...]:
    """Give images pixels that differ in every corner, and a study of their own."""
    for place, ds in enumerate(images, start=1):
        ds.StudyInstanceUID = f"1.2.3.5.{number}"
        ds.SeriesInstanceUID = f"1.2.3.5.{number}.1"
        ds.SOPInstanceUID = f"1.2.3.5.{number}.1.{place}"
        ds.PixelData = stored_pixels(ds, place).tobytes()
        ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return images


def stored_pixels(ds: Dataset, place: int) -> np.ndarray:
    """Slope along rows and columns, steeper along columns; colours slope each in its own way."""
    k, j, i = np.indices((int(ds.get("NumberOfFrames") or 1), int(ds.Rows), int(ds.Columns)))
    if ds.SamplesPerPixel == 3:
        return np.stack([100 + j, 60 + 2 * i, 200 - j - i], axis=-1).astype(np.uint8)
    return (300 + 200 * (place + k) + 18 * j + 29 * i).astype("<u2")


def chest_on(ds: Dataset, number: int) -> Shown:
    return chest(*painted(number, ds))


STUDIES: dict[str, Callable[[], tuple[Shown, FrameKey]]] = {
    "DX": lambda: on_first(chest_on(header(), 1)),
    "CR, MONOCHROME1": lambda: on_first(
        chest_on(radiograph(PhotometricInterpretation="MONOCHROME1"), 2),
    ),
    "odd size": lambda: on_first(chest_on(header(Rows=61, Columns=43), 3)),
    "dermoscopy": lambda: on_first(skin(*painted(4, dermoscopy(PlanarConfiguration=0)))),
    "slice with a box": lambda: on_slice(ct_with_boxes(list(painted(5, *ct_slices()))), 2),
    "slice without a box": lambda: on_slice(ct_with_boxes(list(painted(6, *ct_slices()))), 3),
    "frame with a box": lambda: on_numbered_frame(7, 2),
    "frame without anything": lambda: on_numbered_frame(8, 1),
}


def on_first(shown: Shown) -> tuple[Shown, FrameKey]:
    return on_slice(shown, 1)


def on_slice(shown: Shown, number: int) -> tuple[Shown, FrameKey]:
    return shown, FrameKey(str(shown.images[number - 1].SOPInstanceUID), 1)


def on_numbered_frame(number: int, looked_at: int) -> tuple[Shown, FrameKey]:
    """Look at one frame of three; all is said of the second."""
    (ds,) = painted(number, captured_frames())
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    return on_frame(ds, 2), FrameKey(str(ds.SOPInstanceUID), looked_at)


@pytest.fixture(scope="module")
def archive(readers: None, servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    missing = [name for name in NEEDED_PLUGINS if not (PLUGINS / name).exists()]
    if missing:
        pytest.skip(f"Orthanc lacks {', '.join(missing)} (run `make viewers`)")
    page = tmp_path_factory.mktemp("page")
    bundled("page.mjs", page / "page.js", "browser")
    shutil.copy(FOLDER / "page.html", page)
    with running_archive(tmp_path_factory.mktemp("archive"), page) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    program = find_program("chromium")
    if program is None:
        pytest.skip("chromium is not installed (run `make viewers`)")
    return Browser(program, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def looked_at(archive: Archive, browser: Browser):
    """Store a study with its results and look at one frame, once for all tests."""

    @cache
    def look(case: str) -> tuple[Shown, FrameKey, np.ndarray]:
        shown, frame = STUDIES[case]()
        archive.store([*shown.images, *write_results(shown.reading, shown.sources, RUN, Profile.OHIF)])
        return shown, frame, browser.look(archive, image_of(shown, frame), frame.frame_number, SCALE)

    return look


def json_of(archive: Archive, path: str) -> Any:
    return json.loads(archive.ask(path))


def image_of(shown: Shown, frame: FrameKey) -> Dataset:
    return next(ds for ds in shown.images if ds.SOPInstanceUID == frame.sop_instance_uid)


def expected_screen(shown: Shown, frame: FrameKey) -> np.ndarray:
    """Paint the source by its window (PS3.3 C.11.2.1.2.1) and every mask half over it, enlarged."""
    ds = image_of(shown, frame)
    stored = ds.pixel_array
    if ds.get("NumberOfFrames"):
        stored = stored[frame.frame_number - 1]
    if ds.SamplesPerPixel == 3:
        shade = stored.astype(float)
    else:
        value = stored.astype(float) * ds.get("RescaleSlope", 1) + float(ds.get("RescaleIntercept", 0))
        grey = np.clip((value - (ds.WindowCenter - 0.5)) / (ds.WindowWidth - 1) + 0.5, 0, 1) * 255
        grey = 255 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey
        shade = np.repeat(grey[..., None], 3, axis=-1)
    for mask in shown.reading.masks:
        for voxels, where in zip(mask.voxels, mask.frames, strict=True):
            if where == frame:
                shade[voxels] = (shade[voxels] + colour_of(mask.label)) / 2
    return shade.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def edges_of(box: BoundingBox, shape: tuple[int, ...]) -> Iterator[tuple[slice | int, slice | int]]:
    """Index the pixels that the four sides of a box cover wholly, whatever the fraction of a pixel."""
    top, left, bottom, right = (int(SCALE * value) for value in (*box.low, *box.high))
    last_row, last_column = shape[0] - 1, shape[1] - 1
    for row in (min(top, last_row), min(bottom, last_row)):
        yield row, slice(left, right)
    for column in (min(left, last_column), min(right, last_column)):
        yield slice(top, bottom), column


def assert_shows(screen: np.ndarray, shown: Shown, frame: FrameKey) -> None:
    """Find every box where the reading has it, and nothing but source and masks elsewhere."""
    near_an_edge = np.zeros(screen.shape[:2], dtype=bool)
    for _, box in shown.boxes():
        if box.frame != frame:
            continue
        for where in edges_of(box, screen.shape):
            np.testing.assert_allclose(screen[where], np.broadcast_to(MAGENTA, screen[where].shape), atol=2)
            near_an_edge[where] = True
    for _ in range(2):
        near_an_edge[1:] |= near_an_edge[:-1]
        near_an_edge[:-1] |= near_an_edge[1:]
        near_an_edge[:, 1:] |= near_an_edge[:, :-1]
        near_an_edge[:, :-1] |= near_an_edge[:, 1:]
    difference = np.abs(screen - expected_screen(shown, frame)).max(axis=-1)
    assert difference[~near_an_edge].max() <= TOLERANCE


@pytest.mark.parametrize("case", STUDIES)
def test_the_screen_is_the_source_with_masks_and_boxes(looked_at, case: str) -> None:
    shown, frame, screen = looked_at(case)
    assert_shows(screen, shown, frame)


def test_boxes_that_a_reader_may_edit_stand_where_others_do(archive: Archive, browser: Browser) -> None:
    shown, frame = on_first(chest_on(header(), 9))
    archive.store([*shown.images, *write_results(shown.reading, shown.sources, RUN, Profile.OHIF_EDIT)])
    assert_shows(browser.look(archive, image_of(shown, frame), 1, SCALE), shown, frame)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_screen_is_noticed(looked_at, axis: int) -> None:
    shown, frame, screen = looked_at("DX")
    with pytest.raises(AssertionError):
        assert_shows(np.flip(screen, axis=axis), shown, frame)


def test_the_archive_previews_what_it_was_sent_and_lives(archive: Archive) -> None:
    """GDCM aborts on a segmentation with pixel measures and no plane, and with it the archive."""
    shown, _ = STUDIES["DX"]()
    archive.store([*shown.images, *write_results(shown.reading, shown.sources, RUN, Profile.OHIF)])
    for identifier in json_of(archive, "/instances"):
        if json_of(archive, f"/instances/{identifier}/simplified-tags")["Modality"] == "SEG":
            assert archive.ask(f"/instances/{identifier}/preview").startswith(b"\x89PNG")
    assert archive.ask("/system")
