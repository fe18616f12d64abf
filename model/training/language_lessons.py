"""What the language model is taught: instructions over visual tokens that frozen encoders made once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa import answer_ids, prefix_ids, question_ids
from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.prompts import region_text
from model.reading import ABDOMINAL_ORGANS, Modality
from model.training.instruction import Instruction
from model.training.losses import IGNORED, detection_loss, language_loss
from model.training.planar_pool import (
    MASKS,
    PlanarPool,
    normalised,
    random_windows,
    windowed_boxes,
)

DETECTION_TAG = "<DET>"

LEAST_LEFT = 0.5
"""Of a region's area, what a variant of its picture must still show for a question about it."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPictures:
    """Visual tokens before projection of every picture in several variants."""

    tokens: Tensor
    """(variants, N, T, width) float16."""
    windows: Tensor
    """(variants, N, 4): how each variant was cut; variant 0 is the picture as served."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One instruction, in token ids, with the rows of its images."""

    instruction: Instruction
    rows: tuple[int, ...]
    """Rows of `SeenPictures` (planar) or of seen volumes (CT), in order."""
    ids: tuple[int, ...]
    taught_from: int
    """Position of the first id of the answer."""
    variant: int | None = None
    """The variant of the picture that the question is about; None if any will do."""


@dataclass(frozen=True, slots=True, eq=False)
class LessonBatch:
    """Lessons side by side, left-padded."""

    ids: Tensor
    """(B, L)."""
    mask: Tensor
    """(B, L): 1 where real."""
    labels: Tensor
    """(B, L): the id, or `IGNORED` before the answer."""
    visual: list[Tensor]
    """B tensors (images x T, width) before projection."""
    boxes: Tensor
    """(n, 4) for every `<DET>` of the batch in order."""
    structures: Tensor
    """(m,) which structure each `<2DSEG>` or `<3DSEG>` of the batch means, in order."""


def lesson_of(
    instruction: Instruction, rows: tuple[int, ...], tokenizer: MedVersaTokenizer, visual: int
) -> Lesson:
    """Turn an instruction into ids in the very form in which it is served."""
    asked = prefix_ids(tokenizer, len(rows), visual) + question_ids(tokenizer, instruction.question)
    ids = (*asked, *answer_ids(tokenizer, instruction.answer))
    return Lesson(instruction, rows, ids, len(asked))


def region_lessons(
    instruction: Instruction,
    rows: tuple[int, ...],
    tokenizer: MedVersaTokenizer,
    visual: int,
    windows: Tensor,
) -> Iterator[Lesson]:
    """One lesson per variant of the picture in which half of the region is left, told where it lies there.

    `windows` is (variants, N, 4).
    """
    if instruction.region is None:
        return
    region = torch.tensor(instruction.region)
    for variant, window in enumerate(windows[:, rows[0]]):
        there = windowed_boxes(region[None, None], window[None])[0, 0]
        left = (there[2:] - there[:2]).prod() * window[:2].prod() / (region[2:] - region[:2]).prod()
        if left < LEAST_LEFT:
            continue
        x1, y1, x2, y2 = there.tolist()
        question = instruction.question.replace(
            region_text(instruction.region), region_text((x1, y1, x2, y2))
        )
        moved = replace(instruction, question=question, region=(x1, y1, x2, y2))
        yield replace(lesson_of(moved, rows, tokenizer, visual), variant=variant)


@torch.inference_mode()
def see_pictures(
    network: MedVersaNetwork, pool: PlanarPool, variants: int, rng: torch.Generator
) -> SeenPictures:
    """Encode every picture as it is and in `variants - 1` random variants."""
    total = len(pool.pictures)
    tokens, windows = [], []
    for v in range(variants):
        window = random_windows(total, rng) if v else torch.tensor([1.0, 1.0, 0.0, 0.0]).repeat(total, 1)
        seen: list[Tensor] = []
        for rows in torch.arange(total).split(32):
            pictures = pool.windowed(rows, window[rows], rng) if v else pool.pictures[rows].float() / 255
            # Variants are only near the picture anyhow, so half the effort does for them.
            with torch.autocast("cpu", torch.bfloat16, enabled=v > 0):
                seen.append(network.seen_2d(normalised(pictures)).half())
        tokens.append(torch.cat(seen))
        windows.append(window)
    return SeenPictures(torch.stack(tokens), torch.stack(windows))


def batch_of(
    lessons: Sequence[Lesson],
    pictures: SeenPictures,
    volumes: Tensor,
    rng: torch.Generator,
) -> LessonBatch:
    """Lay lessons of one modality side by side, each image in a variant drawn at random.

    Args:
        volumes: (M, T, width 3D) visual tokens of volumes.
    """
    length = max(len(lesson.ids) for lesson in lessons)
    ids = torch.zeros(len(lessons), length, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    visual: list[Tensor] = []
    boxes: list[Tensor] = []
    for b, lesson in enumerate(lessons):
        start = length - len(lesson.ids)
        ids[b, start:] = torch.tensor(lesson.ids)
        mask[b, start:] = 1
        labels[b, start + lesson.taught_from :] = ids[b, start + lesson.taught_from :]
        if lesson.instruction.modality is Modality.CT:
            visual.append(volumes[list(lesson.rows)].flatten(0, 1).float())
            continue
        drawn = torch.randint(len(pictures.tokens), (len(lesson.rows),), generator=rng)
        if lesson.variant is not None:
            drawn[:] = lesson.variant
        visual.append(pictures.tokens[drawn, list(lesson.rows)].flatten(0, 1).float())
        if lesson.instruction.boxes:
            told = torch.tensor(lesson.instruction.boxes)[None]
            boxes.append(windowed_boxes(told, pictures.windows[drawn[0], lesson.rows[0]][None])[0])
    structures = [structure_index(lesson.instruction.mask) for lesson in lessons if lesson.instruction.mask]
    flat = torch.cat(boxes) if boxes else torch.zeros(0, 4)
    return LessonBatch(ids, mask, labels, visual, flat, torch.tensor(structures, dtype=torch.long))


def read_batch(network: MedVersaNetwork, batch: LessonBatch, tokenizer: MedVersaTokenizer) -> Tensor:
    """Run the language model over a batch: (B, L, hidden) states."""
    planar = batch.visual[0].shape[-1] == network.sizes.swin_width
    project = network.llama_proj_2d if planar else network.llama_proj_3d
    visual = project(torch.cat(batch.visual))
    embedded = splice(network.embed(batch.ids), batch.ids == tokenizer.image, [visual])
    states, _ = network.read(embedded, batch.mask)
    return states


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """What a U-Net's listening layer must make of a tag."""

    text: nn.Module
    """`text2seg_2d` or `text2seg_3d`."""
    vectors: nn.Embedding
    """What the U-Net learned for each structure; frozen."""

    def loss(self, states: Tensor, structures: Tensor) -> Tensor:
        """Squared error relative to the spread of the vectors."""
        wanted = self.vectors(structures).detach()
        return functional.mse_loss(self.text(states), wanted) / self.vectors.weight.detach().var()


def language_losses(
    network: MedVersaNetwork,
    batch: LessonBatch,
    tokenizer: MedVersaTokenizer,
    hearing: Mapping[str, Hearing],
) -> dict[str, Tensor]:
    """The language loss, and what the states at the tags themselves must yield.

    The state of a segmentation tag learns to tell the U-Net which structure is meant; without that, only the
    words around the tag would shape it.
    """
    states = read_batch(network, batch, tokenizer)
    losses = {"language": language_loss(network.logits(states), batch.labels)}
    tags = batch.labels == _tag_id(tokenizer, DETECTION_TAG)
    if tags.any():
        losses["detection"] = detection_loss(network.text_det(states[tags]), batch.boxes)
    for tag, ear in hearing.items():
        tags = batch.labels == _tag_id(tokenizer, tag)
        if tags.any():
            losses["hearing"] = ear.loss(states[tags], batch.structures)
    return losses


@torch.inference_mode()
def tag_states(
    network: MedVersaNetwork, batches: Iterable[LessonBatch], tokenizer: MedVersaTokenizer, tag: str
) -> Tensor:
    """Collect the states of one tag over batches in which every lesson holds it once: (n, hidden)."""
    wanted = _tag_id(tokenizer, tag)
    return torch.cat([read_batch(network, b, tokenizer)[b.labels == wanted] for b in batches])


def structure_index(label: str) -> int:
    """Row of a structure's vector, planar or volumetric."""
    return ABDOMINAL_ORGANS.index(label) if label in ABDOMINAL_ORGANS else MASKS.index(label)


def _tag_id(tokenizer: MedVersaTokenizer, tag: str) -> int:
    return next(n for n, text in tokenizer.tags.items() if text == tag)
