"""What the language model is taught: instructions over visual tokens that frozen encoders made once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa import answer_ids, prefix_ids, question_ids
from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.prompts import region_text
from model.reading import ABDOMINAL_ORGANS, Modality, Task
from model.training.compared_cells import sizes_in_cells
from model.training.devices import mixed_precision
from model.training.instruction import Instruction
from model.training.language_heads import Heads
from model.training.losses import IGNORED, box_loss, detection_loss
from model.training.planar_pool import (
    MASKS,
    PlanarPool,
    PlanarTruth,
    normalised,
    random_windows,
    windowed_boxes,
)

DETECTION_TAG = "<DET>"

VERBS = ("is", "has")
"""With which the verbs begin that tell a change, as answers spell them."""

LEAST_LEFT = 0.5
"""Of a region's area, what a variant of its picture must still show for a question about it."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPictures:
    """Visual tokens before projection of every picture in several variants."""

    tokens: Sequence[Tensor]
    """Each variant: (N, T, width) float16."""
    windows: Tensor
    """(variants, N, 4): how each variant was cut; variant 0 is the picture as served."""
    truth: PlanarTruth
    """Of the N pictures as served."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One instruction, in token ids, with the rows of its images."""

    instruction: Instruction
    rows: tuple[int, ...]
    """Rows of `SeenPictures` (planar) or of seen volumes (CT), in order."""
    ids: NDArray[np.int32]
    taught_from: int
    """Position of the first id of the answer."""
    verbs: tuple[int, ...] = ()
    """Positions of the verbs of changes whose extents the instruction knows."""
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
    verbs: Tensor
    """(B, L) bool: the verbs of changes."""
    extents: Tensor
    """(v, 2) how large what changed is now and was before, for every verb of the batch in order."""
    structures: Tensor
    """(m,) which structure each `<2DSEG>` or `<3DSEG>` of the batch means, in order."""
    compared: Tensor
    """(B, T, labels, 2) what each cell of the second radiograph must tell; empty but for comparisons."""

    def to(self, device: torch.device) -> "LessonBatch":
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        visual = [tokens.to(device) for tokens in self.visual]
        return LessonBatch(
            **{name: value.to(device) for name, value in moved.items() if name != "visual"}, visual=visual
        )


def lesson_of(
    instruction: Instruction, rows: tuple[int, ...], tokenizer: MedVersaTokenizer, visual: int
) -> Lesson:
    """Turn an instruction into ids in the very form in which it is served."""
    asked = prefix_ids(tokenizer, len(rows), visual) + question_ids(tokenizer, instruction.question)
    ids = asked + answer_ids(tokenizer, instruction.answer)
    verbs = _verbs(ids, len(asked), tokenizer) if instruction.extents else ()
    return Lesson(instruction, rows, np.array(ids, np.int32), len(asked), verbs)


def _verbs(ids: Sequence[int], start: int, tokenizer: MedVersaTokenizer) -> tuple[int, ...]:
    """Where an answer that tells changes has its verbs; every sentence has one."""
    verbs = {first for word in VERBS for first in tokenizer.encode(f" {word}")[:1]}
    return tuple(n for n in range(start, len(ids)) if ids[n] in verbs)


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


def windows_of(total: int, variants: int, rng: torch.Generator) -> Tensor:
    """(variants, N, 4): every picture as it is, and in `variants - 1` random windows."""
    as_served = torch.tensor([1.0, 1.0, 0.0, 0.0]).repeat(total, 1)
    return torch.stack([random_windows(total, rng) if v else as_served for v in range(variants)])


@torch.inference_mode()
def see_variant(
    network: MedVersaNetwork, pool: PlanarPool, window: Tensor | None, rng: torch.Generator
) -> Tensor:
    """Encode every picture in its (N, 4) window, or as served: (N, T, width) float16."""
    device = network.ln_vision_2d.weight.device
    seen: list[Tensor] = []
    for rows in torch.arange(len(pool.pictures)).split(32):
        pictures = pool.shown(rows) if window is None else pool.windowed(rows, window[rows], rng)
        # Variants are only near the picture anyhow, so half the effort does for them.
        with mixed_precision(device, enabled=window is not None):
            seen.append(network.seen_2d(normalised(pictures.to(device))).half().cpu())
    return torch.cat(seen)


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
    verbs = torch.zeros_like(ids, dtype=torch.bool)
    visual: list[Tensor] = []
    boxes: list[Tensor] = []
    variants: list[Tensor] = []
    for b, lesson in enumerate(lessons):
        start = length - len(lesson.ids)
        ids[b, start:] = torch.tensor(lesson.ids)
        mask[b, start:] = 1
        verbs[b, [start + n for n in lesson.verbs]] = True
        labels[b, start + lesson.taught_from :] = ids[b, start + lesson.taught_from :]
        if lesson.instruction.modality is Modality.CT:
            visual.append(volumes[list(lesson.rows)].flatten(0, 1).float())
            continue
        drawn = torch.randint(len(pictures.tokens), (len(lesson.rows),), generator=rng)
        if lesson.variant is not None:
            drawn[:] = lesson.variant
        variants.append(drawn)
        shown = zip(drawn.tolist(), lesson.rows, strict=True)
        visual.append(torch.cat([pictures.tokens[v][row] for v, row in shown]).float())
        if lesson.instruction.boxes:
            told = torch.tensor(lesson.instruction.boxes)[None]
            boxes.append(windowed_boxes(told, pictures.windows[drawn[0], lesson.rows[0]][None])[0])
    structures = [structure_index(lesson.instruction.mask) for lesson in lessons if lesson.instruction.mask]
    extents = [pair for lesson in lessons if lesson.verbs for pair in lesson.instruction.extents]
    return LessonBatch(
        ids,
        mask,
        labels,
        visual,
        torch.cat(boxes) if boxes else torch.zeros(0, 4),
        verbs,
        torch.tensor(extents).reshape(-1, 2),
        torch.tensor(structures, dtype=torch.long),
        _compared(lessons, pictures, variants),
    )


def _compared(lessons: Sequence[Lesson], pictures: SeenPictures, variants: Sequence[Tensor]) -> Tensor:
    """What the cells of pairs of radiographs must tell; empty where the lessons are no comparisons."""
    if any(lesson.instruction.task is not Task.COMPARISON for lesson in lessons):
        return torch.zeros(0)
    second = torch.tensor([lesson.rows[1] for lesson in lessons])
    windows = pictures.windows[torch.stack([*variants])[:, 1], second]
    truth = pictures.truth.picked(torch.tensor([lesson.rows for lesson in lessons]).flatten())
    return sizes_in_cells(truth, windows, int(pictures.tokens[0].shape[1] ** 0.5))


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


@torch.no_grad()
def begin_narrow(llama: nn.Module) -> None:
    """Draw the numbers that a language model of random weights begins with as large as its width asks for.

    The library's are made for a width of 4096, and leave a narrow model with next to no attention.
    """
    for name, weight in llama.named_parameters():
        if weight.ndim == 2 and "lora" not in name:
            wide = name.endswith("embed_tokens.weight")
            nn.init.normal_(weight, std=EMBEDDED if wide else (2 * weight.shape[1]) ** -0.5)


EMBEDDED = 0.1
"""Spread of a token's numbers at first, a little less than that of a visual token's."""


def language_losses(
    network: MedVersaNetwork,
    batch: LessonBatch,
    tokenizer: MedVersaTokenizer,
    hearing: Mapping[str, Hearing],
    heads: Heads,
) -> dict[str, Tensor]:
    """The language loss, and what the states at the tags and at visual tokens must yield.

    The state of a segmentation tag learns to tell the U-Net which structure is meant; without that, only the
    words around the tag would shape it.
    """
    states = read_batch(network, batch, tokenizer)
    before = batch.labels[:, 1:] != IGNORED
    losses = {
        "language": functional.cross_entropy(
            network.logits(states[:, :-1][before]), batch.labels[:, 1:][before]
        ),
        **heads.losses(states, batch.ids == tokenizer.image, batch.verbs, batch.extents, batch.compared),
    }
    tags = batch.labels == _tag_id(tokenizer, DETECTION_TAG)
    if tags.any():
        boxes = network.text_det(states[tags])
        losses["detection"] = detection_loss(boxes, batch.boxes)
        losses["boxes"] = box_loss(boxes, batch.boxes)
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
