"""MedVersa: a language model that sees images as tokens and calls vision modules by writing their tags.

Image -> encoder -> visual tokens, nine as released, between `<imgN>` and `</imgN>` -> prompt -> text; the
state from each `<DET>`, `<2DSEG>` and `<3DSEG>` of the text drives that tag's vision module on the first
image.
"""

import logging
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from model.errors import AnswerError
from model.families.family import Generation
from model.families.medversa_networks.generation import WritingRules, Written, write
from model.families.medversa_networks.network import MedVersaNetwork, splice
from model.families.medversa_networks.prefill import Beginning, Prompt
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import IMAGE, MedVersaTokenizer
from model.memory import MemoryNeed, free_memory
from model.precision import Precision
from model.questions import Form, Question
from model.reading import Conditions, Modality, ModelIdentity, Task
from model.transforms import planar_to_grid, volume_to_grid
from model.vision_modules.registry import VISION_MODULES
from model.vision_modules.vision_module import SeenImage
from model.vocabulary import DEMO, Vocabulary
from model.volume import PlanarImage, Volume

logger = logging.getLogger(__name__)

ANSWERS_AT_ONCE = 64
"""Most answers that are written at once."""

TOKENS_AT_ONCE = 4096
"""Most tokens of prompts that are read at once, counted as if none were shared."""

_BRIEF = frozenset({Form.GATE, Form.BINARY, Form.SEGMENTATION})
"""Forms whose answers end within a few tokens; written together, they do not wait for long ones."""


def prefix_ids(tokenizer: MedVersaTokenizer, images: int, visual_tokens: int) -> list[int]:
    """Say who asks, then hold the place of each image's tokens between its tags."""
    places = IMAGE * visual_tokens
    shown = "".join(f"<img{n}>{places}</img{n}>" for n in range(images))
    return [tokenizer.begin, *tokenizer.encode(f"###Human:{shown}")]


def question_ids(tokenizer: MedVersaTokenizer, question: str) -> list[int]:
    """Put the question and hand over to the assistant."""
    return tokenizer.encode(f"{question}###Assistant:")


def answer_ids(tokenizer: MedVersaTokenizer, answer: str) -> list[int]:
    """What the language model is taught to write: a space, the answer, the end mark."""
    return tokenizer.answer(answer) + list(tokenizer.stop_sequences[0])


@dataclass(frozen=True, slots=True, eq=False)
class MedVersaFamily:
    """A loaded MedVersa; implements `Family`."""

    identity: ModelIdentity
    network: MedVersaNetwork
    """In evaluation mode, float32 but for the language model."""
    tokenizer: MedVersaTokenizer
    yes_temperature: float = 1.0
    """Divides the difference of the yes and no scores; fitted on held-out cases."""
    vocabulary: Vocabulary = DEMO
    precision: Precision = Precision.FLOAT32
    """Of the language model."""
    need: MemoryNeed | None = None
    """What answers take beside the weights; None where no one counts it."""
    _yes_no: tuple[tuple[int, ...], tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        firsts = [self.tokenizer.first_ids(words) for words in (("Yes", "yes"), ("No", "no"))]
        object.__setattr__(self, "_yes_no", tuple(firsts))

    @property
    def sizes(self) -> MedVersaSizes:
        return self.network.sizes

    @property
    def conditions(self) -> Conditions:
        return Conditions(str(self._device), str(self.precision))

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> "MedVersaSight":
        """See `Family.look`. `modality` chooses the planar U-Net of generation v1 and nothing else."""
        return MedVersaSight(self, modality, tuple(images))

    def answer(
        self, prompts: Sequence[Prompt], firsts: Sequence[SeenImage], beginning: Beginning
    ) -> Iterator[Generation]:
        """Answer prompts; boxes and masks of each lie on the image that stands for it in `firsts`."""
        for written, first in zip(write(self.network, prompts, self._rules, beginning), firsts, strict=True):
            yield self.outcome(written, first)

    def limit(self, question: Question) -> int:
        """Most tokens of an answer."""
        return self.sizes.max_new_tokens

    def looks_closely(self, question: Question, images: Sequence[PlanarImage | Volume]) -> bool:
        """Whether a question is for the second encoder of generation v1: an open one about planar images."""
        planar = all(isinstance(image, PlanarImage) for image in images)
        return self.sizes.vqa is not None and question.task is Task.VQA and planar

    def answers_at_once(self, tokens: int) -> int:
        """How many answers of at most so many tokens, prompts included, memory suffices for.

        Raises:
            AnswerError: not even for one.
        """
        free = None if self.need is None else free_memory(str(self._device))
        if self.need is None or free is None:
            return ANSWERS_AT_ONCE
        rows = self.need.rows(free, tokens)
        if not rows:
            raise AnswerError(f"there is no memory for one answer of {tokens} tokens")
        return min(rows, ANSWERS_AT_ONCE)

    def ids(self, question: Question, images: int, *, closely: bool = False) -> list[int]:
        """Put a question about `images` images into token ids, prefix included.

        Raises:
            AnswerError: no or too many images, too long a question, or an image placeholder inside it.
        """
        if not 0 < images <= self.sizes.max_images:
            raise AnswerError(f"{images} images in one request; 1 to {self.sizes.max_images} are possible")
        visual_tokens = self.sizes.visual_tokens
        if closely and self.sizes.vqa is not None:
            visual_tokens = self.sizes.vqa.visual_tokens
        prefix = prefix_ids(self.tokenizer, images, visual_tokens)
        return prefix + self._asked(question, len(prefix))

    @property
    def _rules(self) -> WritingRules:
        return WritingRules(self.tokenizer.stop_sequences, frozenset(self.tokenizer.tags))

    @property
    def _device(self) -> torch.device:
        return self.network.ln_vision_2d.weight.device

    def _asked(self, question: Question, before: int) -> list[int]:
        preface = self.tokenizer.encode(question.preface) if question.preface else []
        ids = preface + question_ids(self.tokenizer, question.text)
        length = before + len(ids) + self.sizes.max_new_tokens
        if length > self.sizes.context:
            raise AnswerError(
                f"the request needs {length} tokens; the model's context is {self.sizes.context}"
            )
        if self.tokenizer.image in ids:
            raise AnswerError(f"the question holds the reserved word {IMAGE}")
        return ids

    def prompt(
        self, question: Question, ids: list[int], images: Sequence[tuple[Hashable, SeenImage]]
    ) -> Prompt:
        """Put visual tokens in their places; each image comes with what tells it from all others."""
        row = torch.tensor([ids], device=self._device)
        visual = torch.cat([image.tokens for _, image in images])
        embedded = splice(self.network.embed(row), row == self.tokenizer.image, [visual])[0]
        places = ((key, t) for key, image in images for t in range(len(image.tokens)))
        keys = [next(places) if token == self.tokenizer.image else token for token in ids]
        return Prompt(tuple(keys), embedded, self.limit(question))

    def see(
        self,
        images: Sequence[PlanarImage | Volume],
        modality: Modality | None = None,
        *,
        closely: bool = False,
    ) -> list[SeenImage]:
        """Encode images to visual tokens, all planar ones together; `closely` with the second encoder of v1.

        Raises:
            AbstentionError: a volume without contrast.
        """
        planar = [image for image in images if isinstance(image, PlanarImage)]
        seen = iter(self._see_planar(planar, modality, closely) if planar else ())
        return [self._see_volume(image) if isinstance(image, Volume) else next(seen) for image in images]

    def _see_planar(
        self, images: Sequence[PlanarImage], modality: Modality | None, closely: bool
    ) -> Iterator[SeenImage]:
        network, vqa = self.network, self.sizes.vqa if closely else None
        size = self.sizes.image_size if vqa is None else vqa.image_size
        grids = [planar_to_grid(image, size) for image in images]
        pictures = torch.from_numpy(np.stack([pixels for pixels, _ in grids])).to(self._device)
        if vqa is None:
            tokens = network.llama_proj_2d(network.seen_2d(pictures))
        else:
            tokens = network.llama_proj_2d_vqa(network.seen_2d_vqa(pictures))
        for image, (_, placement), own in zip(images, grids, tokens, strict=True):
            yield SeenImage(image, placement, own, modality=modality)

    def _see_volume(self, volume: Volume) -> SeenImage:
        voxels, placement = volume_to_grid(volume, self.sizes.volume_grid)
        levels = self.network.visual_encoder_3d.encode(torch.from_numpy(voxels)[None].to(self._device))
        tokens = self.network.llama_proj_3d(self.network.seen_3d(levels))[0]
        return SeenImage(volume, placement, tokens, tuple(levels))

    def outcome(self, written: Written, first: SeenImage) -> Generation:
        """Decode an answer and let its tags call their vision modules on the image."""
        boxes: list[tuple[float, float, float, float]] = []
        masks = []
        for tag_id, state in written.states:
            tag = self.tokenizer.tags[tag_id]
            (outcome,) = VISION_MODULES[tag](self.network)(state[None], first)
            if outcome.ndim == 1:
                j0, i0, j1, i1 = (float(v) for v in outcome)
                boxes.append((j0, i0, j1, i1))
            else:
                masks.append(outcome)
        text = self.tokenizer.decode(written.ids).strip()
        yes = self._yes_probability(written.first_logits)
        certainty = float(written.first_logits.softmax(0).max())
        return Generation(
            text, yes, tuple(boxes), tuple(masks), certainty, written.complete, tuple(written.probabilities)
        )

    def _yes_probability(self, scores: Tensor) -> float:
        yes, no = (scores[list(ids)].logsumexp(0) for ids in self._yes_no)
        return float(torch.sigmoid((yes - no) / self.yes_temperature))


_View = tuple[int, bool]
"""Number of an image of the sight, and whether the second encoder of generation v1 looks at it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question on its way to its answer."""

    number: int
    question: Question
    ids: list[int]
    views: tuple[_View, ...]

    @property
    def expected_length(self) -> tuple[bool, int]:
        """Orders questions so that those of one batch end at about the same time."""
        return self.question.form not in _BRIEF, len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class MedVersaSight:
    """Images of one request; implements `Sight`."""

    family: MedVersaFamily
    modality: Modality
    images: tuple[PlanarImage | Volume, ...]
    _seen: dict[_View, SeenImage] = field(default_factory=dict[_View, SeenImage])
    _beginning: Beginning = field(default_factory=Beginning)

    @torch.inference_mode()
    def answer(self, questions: Sequence[Question]) -> list[Generation]:
        """See `Sight.answer`."""
        groups: dict[bool, list[_Asked]] = {}
        for number, question in enumerate(questions):
            about = tuple(range(len(self.images))) if question.images is None else question.images
            closely = self.family.looks_closely(question, [self.images[n] for n in about])
            ids = self.family.ids(question, len(about), closely=closely)
            views = tuple((n, closely) for n in about)
            groups.setdefault(closely, []).append(_Asked(number, question, ids, views))
        answers: dict[int, Generation] = {}
        for asked in groups.values():
            self._see([view for one in asked for view in one.views])
            for batch in self._batches(sorted(asked, key=lambda one: one.expected_length)):
                answers.update(self._answered(batch))
        return [answers[n] for n in range(len(questions))]

    def _answered(self, batch: Sequence[_Asked]) -> dict[int, Generation]:
        """Answer together, or in halves if memory runs out though there was enough: others take of it too."""
        try:
            return self._answered_together(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        # Behind the handler, whose traceback holds all that was computed.
        logger.warning("memory ran out: questions are asked in halves", extra={"questions": len(batch)})
        self._beginning.forget()
        torch.cuda.empty_cache()
        middle = len(batch) // 2
        return self._answered(batch[:middle]) | self._answered(batch[middle:])

    def _answered_together(self, batch: Sequence[_Asked]) -> dict[int, Generation]:
        prompts = [self._prompt(one) for one in batch]
        firsts = [self._seen[one.views[0]] for one in batch]
        generations = self.family.answer(prompts, firsts, self._beginning)
        return dict(zip([one.number for one in batch], generations, strict=True))

    def _see(self, views: Sequence[_View]) -> None:
        """Encode what was not seen before; all `views` are close ones, or none is."""
        new = [view for view in dict.fromkeys(views) if view not in self._seen]
        images, closely = [self.images[n] for n, _ in new], any(closely for _, closely in new)
        self._seen.update(zip(new, self.family.see(images, self.modality, closely=closely), strict=True))

    def _prompt(self, asked: _Asked) -> Prompt:
        seen = [(view, self._seen[view]) for view in asked.views]
        return self.family.prompt(asked.question, asked.ids, seen)

    def _batches(self, asked: Sequence[_Asked]) -> Iterator[list[_Asked]]:
        longest = max(len(one.ids) + self.family.limit(one.question) for one in asked)
        most = self.family.answers_at_once(longest)
        batch: list[_Asked] = []
        for one in asked:
            tokens = len(one.ids) + sum(len(earlier.ids) for earlier in batch)
            if batch and (len(batch) == most or tokens > TOKENS_AT_ONCE):
                yield batch
                batch = []
            batch.append(one)
        yield batch
