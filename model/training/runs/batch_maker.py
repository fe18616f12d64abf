"""Turns cases into micro-batches: asks, varies, squeezes onto the network's grids, tokenises."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from model.errors import AbstentionError, ImagingError, TrainingError
from model.families.medversa import answer_ids, prefix_ids, question_ids
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.reading import Modality, Task
from model.training.instruction import Instruction
from model.training.runs.microbatch import Example, MicroBatch, Pictures, side_by_side
from model.training.runs.placed_pictures import NONE, Picture, View, placed
from model.training.runs.sources import TaughtCase, told
from model.training.sampling import Kind

logger = logging.getLogger(__name__)

PASSED_OVER = 20
"""Cases of one micro-batch that may have nothing to say, or a picture that cannot be read."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchMaker:
    """Makes micro-batches for one network; its choices depend on the chances that it is given alone."""

    tokenizer: MedVersaTokenizer
    sizes: MedVersaSizes
    per_case: int
    answer_tokens: int
    augmentation: str
    """See `RunPlan.augmentation`."""

    def make(
        self, kind: Kind, number: int, cases: Iterator[TaughtCase], *, count: int, chances: Sequence[int]
    ) -> MicroBatch:
        """Ask each of the first `count` cases that can be read `per_case` questions of a kind.

        `chances` seed all that is drawn about the micro-batch.

        Raises:
            TrainingError: an instruction does not fit the network, or too many cases are of no use.
        """
        drawing = _Drawing(self, kind)
        for row, case in zip(range(count + PASSED_OVER), cases, strict=False):
            drawing.add(case, np.random.default_rng([*chances, number, row]))
            if drawing.cases == count:
                break
        if drawing.cases < count:
            raise TrainingError(
                f"{PASSED_OVER} cases that were to teach {kind[1]} of {kind[0]} have nothing to say of it, "
                "or pictures that cannot be read; see the log"
            )
        return side_by_side(kind, number, drawing.examples, drawing.shown())

    @property
    def still(self) -> "BatchMaker":
        """The same without augmentation."""
        return BatchMaker(self.tokenizer, self.sizes, self.per_case, self.answer_tokens, NONE)


@dataclass(slots=True, eq=False)
class _Drawing:
    """A micro-batch while it is being made."""

    maker: BatchMaker
    kind: Kind
    cases: int = 0
    examples: list[Example] = field(default_factory=list[Example])
    pictures: list[Picture] = field(default_factory=list[Picture])

    def add(self, case: TaughtCase, rng: np.random.Generator) -> None:
        """Take one case in, each of its pictures once; one that is silent or unreadable is passed over."""
        instructions = told(case, self.kind, self.maker.per_case, rng)
        if not instructions:
            return
        labels = [i.mask for i in instructions if i.mask]
        names = dict.fromkeys(name for i in instructions for name in i.images)
        view = View(self.kind, self.maker.sizes, self.maker.augmentation, tuple(labels))
        rows = {name: n for n, name in enumerate(names, start=len(self.pictures))}
        try:
            own = {name: placed(case.image(name), view, rng) for name in names}
            examples = [self._example(case, i, rows, own[i.images[0]]) for i in instructions]
        except (ImagingError, AbstentionError) as exc:
            logger.warning("case passed over", extra={"reason": str(exc)})
            return
        self.cases += 1
        self.pictures += own.values()
        self.examples += examples

    def shown(self) -> Pictures:
        segmented = [p.segmented for p in self.pictures if p.segmented is not None]
        return Pictures(
            torch.from_numpy(np.stack([picture.encoded for picture in self.pictures])),
            torch.from_numpy(np.stack(segmented)) if segmented else torch.zeros(0),
        )

    def _example(
        self, case: TaughtCase, instruction: Instruction, rows: Mapping[str, int], first: Picture
    ) -> Example:
        asked, answered = self._ids(instruction)
        tags = self.maker.tokenizer.tags
        called = [tags[token] for token in answered if token in tags]
        boxes = instruction.boxes[: called.count("<DET>")]
        masks = len(called) - called.count("<DET>")
        if called.count("<DET>") > len(boxes) or masks > int(instruction.mask is not None):
            raise TrainingError(f"an answer of {self.kind[1]} has a tag without a box or mask")
        mask: Tensor | None = None
        if instruction.mask is not None and masks:
            grid = first.mask(case.mask(instruction.images[0], instruction.mask))
            mask = torch.from_numpy(grid.astype(np.float32))[None]
        return Example(asked, answered, [rows[name] for name in instruction.images], boxes, mask)

    def _ids(self, instruction: Instruction) -> tuple[list[int], list[int]]:
        """What is asked, and as much of the answer as there is room for."""
        maker, images = self.maker, len(instruction.images)
        if images > maker.sizes.max_images:
            most = maker.sizes.max_images
            raise TrainingError(f"an example shows {images} images; the network takes {most}")
        asked = prefix_ids(maker.tokenizer, images, visual_tokens(maker.sizes, self.kind))
        asked += question_ids(maker.tokenizer, instruction.question)
        room = min(maker.sizes.context - len(asked), maker.answer_tokens)
        if room < 1:
            context = maker.sizes.context
            raise TrainingError(f"a question of {len(asked)} tokens leaves no room in a context of {context}")
        return asked, answer_ids(maker.tokenizer, instruction.answer)[:room]


def visual_tokens(sizes: MedVersaSizes, kind: Kind) -> int:
    """Tokens of one image; generation v1 looks more closely where it is asked openly about planar ones."""
    closely = kind[1] is Task.VQA and kind[0] is not Modality.CT
    return sizes.vqa.visual_tokens if sizes.vqa is not None and closely else sizes.visual_tokens
