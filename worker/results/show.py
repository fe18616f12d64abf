"""Shows one result object of any maker: as text, as JSON, or as a picture on its source image."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset

from structured_reports.checks.bundle import SECONDARY_CAPTURE, is_result, is_segmentation
from structured_reports.picture import NOTICE, draw
from structured_reports.provenance import is_own_result
from structured_reports.readout.lines import text_lines
from structured_reports.readout.scene import frame_by_place, frames_worth_drawing, named_results
from structured_reports.readout.values import encapsulated_document, is_encapsulated, values_of
from structured_reports.windowing import as_a_reader_sees_it
from worker.errors import AskedAmissError
from worker.results.look_up import Objects

FOREIGN_NOTICE = "Drawn from another system's object. Not for diagnosis."
MOST_TRIED = 8
"""Images that are looked for before it is said that none is at hand."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One object with what is at hand of what it names."""

    ds: Dataset
    objects: Objects

    def text(self) -> str:
        return "\n".join(text_lines(values_of(self.ds)))

    def json(self) -> str:
        return json.dumps(values_of(self.ds), indent=1, ensure_ascii=False)

    def document(self) -> bytes:
        """Take an encapsulated document out.

        Raises:
            AskedAmissError: the object holds none.
        """
        if not is_encapsulated(self.ds) or not (content := encapsulated_document(self.ds)):
            raise AskedAmissError("the object holds no document; --document is for encapsulated ones")
        return content

    def picture(self, frame_number: int | None) -> Image.Image:
        """Draw what the object says on the image where it says most, or on one frame of that.

        Raises:
            AskedAmissError: it cannot be drawn, or no image that it speaks of is at hand.
        """
        if is_encapsulated(self.ds):
            raise AskedAmissError("a document is no picture: take it out with --document FILE")
        try:
            if self.ds.get("SOPClassUID") == SECONDARY_CAPTURE or not is_result(self.ds):
                return Image.fromarray(np.asarray(as_a_reader_sees_it(self.ds, frame_number or 1)))
            return self._drawn(frame_number)
        except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, ValueError) as error:
            raise AskedAmissError(f"the picture cannot be drawn ({type(error).__name__})") from error

    def _drawn(self, frame_number: int | None) -> Image.Image:
        found = (self.objects.find(uid) for uid in named_results(self.ds))
        study = self.ds.get("StudyInstanceUID")
        # Of another study are the prior's results: they say nothing about these images.
        results = [self.ds, *(ds for ds in found if ds is not None and ds.get("StudyInstanceUID") == study)]
        image, number = self._image_of(results)
        notice = NOTICE if all(map(is_own_result, results)) else FOREIGN_NOTICE
        return draw(image, results, frame_number=frame_number or number, notice=notice)

    def _image_of(self, results: Sequence[Dataset]) -> tuple[Dataset, int]:
        """Find the first image that is at hand, of those on which most is marked."""
        frames = frames_worth_drawing(results)
        for uid, number in frames[:MOST_TRIED]:
            image = self.objects.find(uid)
            if image is not None and "PixelData" in image:
                return image, number
        images = [ds for ds in self.objects.given.values() if "PixelData" in ds and not is_result(ds)]
        if place := frame_by_place(filter(is_segmentation, results), images):
            return self.objects.given[place[0]], place[1]
        if not frames:
            raise AskedAmissError("the object names no image to be drawn on: give the images with --source")
        why = "no image that the object names is at hand: give it with --source"
        raise AskedAmissError("; ".join([why, *self.objects.faults]))


def save_picture(picture: Image.Image, file: Path) -> None:
    """Write a PNG.

    Raises:
        AskedAmissError: it cannot be written there.
    """
    save(file, lambda: picture.save(file, format="PNG"))


def save(file: Path, write: Callable[[], object]) -> None:
    """Call what writes a file.

    Raises:
        AskedAmissError: it cannot be written there.
    """
    try:
        write()
    except OSError as error:
        raise AskedAmissError(f"{file} cannot be written ({error.strerror})") from error
