"""The common form of training data: what is known of one study, as facts; training puts them into words."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from model.errors import DatasetError, RowError
from model.reading import Modality
from model.training.phantoms.truth import Box

Split = Literal["train", "validate", "test"]
SPLITS: tuple[Split, ...] = ("train", "validate", "test")

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class RecordImage:
    """A picture or volume by its file, which stays where it is."""

    path: str
    """Relative to the source folder, with `/`; DICOM, PNG, JPEG or NIfTI by suffix."""
    view: str | None = None
    """ViewPosition (0018,5101) of a radiograph: `PA`, `AP`, `LATERAL`, `LL`, …"""
    size: tuple[int, int] | None = None
    """(columns, rows) as stored."""
    spacing_mm: tuple[float, float] | None = None
    """(row spacing, column spacing) of a pixel."""


@dataclass(frozen=True, slots=True)
class RecordBox:
    """A rectangle on one image."""

    label: str
    image: int
    """Index into `Record.shown`."""
    box: Box
    caption: str | None = None
    """What the report says of this region."""
    anatomy: bool = False
    """Whether the label is a structure; a finding otherwise."""


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as lengths of runs, row by row from the top left; the first run is background and may be 0."""

    size: tuple[int, int]
    """(columns, rows); the runs add up to their product."""
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RecordMask:
    """The pixels or voxels of one structure: a file, with the value that marks it there, or run lengths."""

    label: str
    image: int
    """Index into `Record.shown`."""
    path: str | None = None
    """Relative to the source folder."""
    rle: RunLengths | None = None
    value: int | None = None
    """Of the structure in the file; None if everything above zero belongs to it."""


@dataclass(frozen=True, slots=True)
class RecordQuestion:
    """A question that came with the data, and its answer."""

    question: str
    answer: str
    images: tuple[int, ...] = (0,)
    """Indices into `Record.shown`, in the order in which the question counts them."""
    kind: str = "other"
    """As the dataset names it, e.g. `abnormality`, `difference`."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one study, in the words of its source and without identity.

    Names of labels, boxes and masks are spelled as `model.vocabulary` spells them where it has them.
    """

    __pydantic_config__ = _STRICT

    dataset: str
    record_id: str
    """Unique in its dataset."""
    subject: str
    """Pseudonym of the patient: records of one subject are never parted by a split."""
    study: str
    split: Split
    modality: Modality
    images: tuple[RecordImage, ...]
    priors: tuple[RecordImage, ...] = ()
    """Of one earlier study."""
    age: float | None = None
    """Years."""
    sex: str | None = None
    """`M`, `F` or `O`."""
    indication: str | None = None
    comparison: str | None = None
    findings: str | None = None
    impression: str | None = None
    labels: Mapping[str, bool | None] = field(default_factory=dict[str, bool | None])
    """Present, absent, or None where the source is uncertain; a label that is not named is not known."""
    boxes: tuple[RecordBox, ...] = ()
    masks: tuple[RecordMask, ...] = ()
    questions: tuple[RecordQuestion, ...] = ()
    change: str | None = None
    """What has changed since `priors`."""
    diagnosis: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no reader of records could use.

        Raises:
            RowError: an index points to no image, a box is empty or reaches out of its image, run
                lengths do not fill their image, a mask has neither file nor runs, or a number is not finite.
        """
        if problem := _problem(self):
            raise RowError(problem)

    @property
    def shown(self) -> tuple[RecordImage, ...]:
        """All images in the order of indices: of this study, then of the prior."""
        return self.images + self.priors

    def to_json(self) -> str:
        """Write one line without its end; what has its default value is left out."""
        return _RECORD.dump_json(self, exclude_defaults=True).decode()

    @staticmethod
    def from_json(line: str | bytes) -> "Record":
        """Read a line back.

        Raises:
            DatasetError: the line is not a record of this form; its content is not repeated.
        """
        try:
            return _RECORD.validate_json(line)
        except ValidationError as exc:
            places = sorted({".".join(map(str, error["loc"])) or "line" for error in exc.errors()})
            raise DatasetError(f"A record is malformed at: {', '.join(places)}") from None


_RECORD = TypeAdapter(Record)


def _problem(record: Record) -> str | None:
    count = len(record.images) + len(record.priors)
    indices = [box.image for box in record.boxes] + [mask.image for mask in record.masks]
    indices += [n for question in record.questions for n in question.images]
    if not record.images:
        return "A record shows no image"
    if any(not 0 <= n < count for n in indices):
        return "A record refers to an image that it does not show"
    if not all(_is_inside(box.box) for box in record.boxes):
        return "A box is empty or reaches out of its image"
    if record.age is not None and not (math.isfinite(record.age) and record.age >= 0):
        return "An age is no number of years"
    if any(not (mask.path or mask.rle) for mask in record.masks):
        return "A mask has neither a file nor run lengths"
    if not all(_fills(mask.rle) for mask in record.masks if mask.rle):
        return "The run lengths of a mask do not fill its image"
    spacings = [mm for image in record.images + record.priors for mm in image.spacing_mm or ()]
    if not all(math.isfinite(mm) and mm > 0 for mm in spacings):
        return "A pixel spacing is not positive"
    return None


def _is_inside(box: Box) -> bool:
    x1, y1, x2, y2 = box
    return 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1


def _fills(rle: RunLengths) -> bool:
    return min(rle.runs, default=-1) >= 0 and sum(rle.runs) == rle.size[0] * rle.size[1]
