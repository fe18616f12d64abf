"""What a network that does not speak yet has seen, and what it can be asked about it."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from torch import Tensor, nn

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.reading import Task
from model.training.language_lessons import Hearing, Lesson, SeenPictures


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Lessons for the language model and the visual tokens that they are about."""

    lessons: list[Lesson]
    pictures: SeenPictures
    volumes: Tensor
    """(M, T, width 3D) tokens of slabs; empty before the 3D U-Net has learned to see."""

    def about(self, tasks: Collection[Task]) -> "Seen":
        """Keep the lessons of some tasks."""
        return replace(self, lessons=[one for one in self.lessons if one.instruction.task in tasks])


@dataclass(frozen=True, slots=True, eq=False)
class Eyes:
    """A network that sees and does not speak yet."""

    network: MedVersaNetwork
    tokenizer: MedVersaTokenizer
    seen: Seen
    structures: nn.Embedding
    """What the 2D U-Net learned for each structure."""
    organs: nn.Embedding
    """The same of the 3D U-Net."""

    @property
    def hearing(self) -> dict[str, Hearing]:
        return {
            "<2DSEG>": Hearing(self.network.text2seg_2d, self.structures),
            "<3DSEG>": Hearing(self.network.text2seg_3d, self.organs),
        }
