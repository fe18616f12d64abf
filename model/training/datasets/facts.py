"""A record as it is asked about: by which weights, and how many of its images are shown."""

from dataclasses import dataclass

from model.training.datasets.record import Record
from model.vocabulary import RELEASED, Vocabulary

MOST_IMAGES = 5
"""Of one question; the released model was trained on no more."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record knows, for weights of one vocabulary."""

    record: Record
    vocabulary: Vocabulary = RELEASED
    most_images: int = MOST_IMAGES

    @property
    def current(self) -> tuple[str, ...]:
        """Names of the images of the study that are shown together: their indices in `Record.shown`."""
        count = min(len(self.record.images), self.most_images) if self.vocabulary.reads_every_view else 1
        return tuple(map(str, range(count)))

    @property
    def compared(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The same beside the prior, which has room for one image at least, and the prior's images."""
        current = self.current[: max(self.most_images - 1, 1)]
        room, first = max(self.most_images - len(current), 1), len(self.record.images)
        count = min(len(self.record.priors), room)
        return current, tuple(map(str, range(first, first + count)))
