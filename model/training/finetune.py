"""Makes the demonstration weights from nothing but seeds, on a CPU, in stages that can be interrupted.

0. Draw phantom cases (chest, foreign, skin, abdomen) into the run folder.
1. `encoder_2d`: the Swin encoder learns from auxiliary heads (presence, size and box of each finding in each
   place, organ masks, boxes of anatomy, skin classes, chest or not); the heads are thrown away. The released
   model starts from pre-trained encoders too.
2. `language_first`: the language model learns to speak about what these eyes see (see 5).
3. `unet_2d`, `unet_3d`: both U-Nets learn masks with one vector per structure in place of words. The encoder
   half of the 3D U-Net is the volume encoder.
4. `encoder_2d_fine`: the Swin encoder goes on with nodules set into half of the radiographs.
5. `language`: encoders are frozen, as in the released code. The visual tokens of every picture are computed
   once, in several variants; projections, language model (base and LoRA both learn: there is no pre-trained
   base at this size) and detection head learn instructions, one homogeneous batch at a time.
   The state of a segmentation tag learns, through `text2seg_*`, to give the vector of its structure.
6. `hearing_2d`, `hearing_3d`: the language model is frozen; `text2seg_*` learn on alone.
7. Weights, tokenizer and configuration are written; `model.training.examination` examines them on held-out
   seeds.

Weights that exist already can go on to new tasks (`--start-from`): encoders, U-Nets and tokenizer stay as
they are, and `language_on` takes the place of stages 1 to 5.

Every stage leaves a file in the run folder; running again goes on where it stopped.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import DEMO, MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer, train_tokenizer
from model.reading import ABDOMINAL_ORGANS, Modality, Task
from model.training.datasets.case_files import Case
from model.training.datasets.phantoms import Shard, draw_all, load, shards_of
from model.training.encoder_lessons import EncoderLessons, cells_and_tokens
from model.training.instruction import Instruction
from model.training.instructions import instructions_for
from model.training.language_lessons import (
    Hearing,
    Lesson,
    SeenPictures,
    batch_of,
    language_losses,
    lesson_of,
    region_lessons,
    see_pictures,
    tag_states,
)
from model.training.phantoms.truth import AbdomenCase, ChestCase, ChestView, ForeignCase, SkinCase
from model.training.planar_pool import MASKS, PlanarPool, normalised, pool_of
from model.training.sampling import TaskSampler
from model.training.segmentation_lessons import (
    SegmentationPlan,
    hearing_step,
    planar_module,
    planar_step,
    recovered_vectors,
    volume_module,
    volume_step,
)
from model.training.slab_lessons import SeenSlabs, see_slabs, slab_instructions
from model.training.stages import Progress, Stage, run_stage, silent
from model.training.volume_pool import VolumePool, volume_pool_of
from model.weights import TOKENIZER_FILE

logger = logging.getLogger(__name__)

TASK_WEIGHTS = {
    (Modality.CXR, Task.REPORT): 3.0,
    (Modality.CXR, Task.CLASSIFICATION): 3.0,
    (Modality.CXR, Task.ANATOMY_DETECTION): 2.5,
    (Modality.CXR, Task.PATHOLOGY_DETECTION): 4.0,
    (Modality.CXR, Task.SEGMENTATION): 0.5,
    (Modality.CXR, Task.COMPARISON): 4.0,
    (Modality.CXR, Task.VQA): 5.0,
    (Modality.CXR, Task.REGION_CAPTIONING): 7.0,
    (Modality.DERM, Task.CLASSIFICATION): 1.0,
    (Modality.DERM, Task.SEGMENTATION): 0.3,
    (Modality.CT, Task.SEGMENTATION): 0.7,
}
"""How often a task is drawn, relative to the others."""

RATES = {
    "encoder_2d": 1e-3,
    "encoder_2d_fine": 6e-4,
    "unet_3d": 2e-3,
    "unet_2d": 2e-3,
    "language_first": 1.5e-3,
    "language": 1.2e-3,
    "language_on": 8e-4,
    "hearing_2d": 3e-3,
    "hearing_3d": 3e-3,
}
"""Peak learning rate of each stage."""

FIRST_STAGES = (
    "encoder_2d",
    "encoder_2d_fine",
    "language_first",
    "unet_3d",
    "unet_2d",
    "language",
    "hearing_2d",
    "hearing_3d",
)
ON_STAGES = ("language_on", "hearing_2d", "hearing_3d")
"""Stages of a run from nothing, and of one that goes on from weights."""

NODULE_SHARES = {"encoder_2d": 0.0, "encoder_2d_fine": 0.5}
"""Part of the radiographs into which a nodule is set; generated ones are too rare to be learned."""

KIND_SHARES = (0.78, 0.11, 0.11)
"""Of each encoder batch: chest, skin, foreign; radiographs are the hardest to read."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Everything that decides what the demonstration weights become."""

    seed: int = 0
    cases: dict[str, int] = field(
        default_factory=lambda: {"chest": 2400, "foreign": 1000, "skin": 1400, "abdomen": 200}
    )
    """Phantoms of each kind; their seeds count from `seed`."""
    steps: dict[str, int] = field(
        default_factory=lambda: {
            "encoder_2d": 2000,
            "encoder_2d_fine": 600,
            "language_first": 1000,
            "unet_3d": 480,
            "unet_2d": 1500,
            "language": 2000,
            "language_on": 1800,
            "hearing_2d": 400,
            "hearing_3d": 400,
        }
    )
    """Steps of each stage."""
    encoder_batch: int = 32
    language_batch: int = 32
    picture_variants: int = 3
    volume_variants: int = 4
    tellings: int = 2
    """How often the instructions of a case are drawn anew."""
    sizes: MedVersaSizes = DEMO

    def shards(self) -> list[Shard]:
        return [shard for kind, n in self.cases.items() for shard in shards_of(kind, self.seed, n)]


@dataclass(frozen=True, slots=True, eq=False)
class Curriculum:
    """All that a run teaches, in memory."""

    pictures: PlanarPool
    volumes: VolumePool
    instructions: list[tuple[Instruction, tuple[int, ...]]]
    """Each with the rows of its images in `pictures`; none about volumes, whose slabs are cut later."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Lessons for the language model and the visual tokens that they are about."""

    lessons: list[Lesson]
    pictures: SeenPictures
    volumes: Tensor
    """(M, T, width 3D) tokens of slabs; empty before the 3D U-Net has learned to see."""


def gather(cases: Iterator[Case], tellings: int, seed: int) -> Curriculum:
    """Take pictures, volumes and instructions out of cases."""
    rng = np.random.default_rng([seed, 1])
    abdomens: list[AbdomenCase] = []
    told: list[tuple[Instruction, tuple[int, ...]]] = []

    def taken() -> Iterator[ChestView | SkinCase | ForeignCase]:
        row = 0
        for case in cases:
            if isinstance(case, AbdomenCase):
                abdomens.append(case)
                continue
            shown = _shown(case)
            rows = {name: row + n for n, name in enumerate(shown)}
            row += len(shown)
            told.extend(
                (instruction, tuple(rows[name] for name in instruction.images))
                for _ in range(tellings)
                for instruction in instructions_for(case, rng)
            )
            yield from shown.values()

    pool = pool_of(taken())
    return Curriculum(pool, volume_pool_of(abdomens), told)


def _shown(case: ChestCase | SkinCase | ForeignCase) -> Mapping[str, ChestView | SkinCase | ForeignCase]:
    if not isinstance(case, ChestCase):
        return {"current": case}
    return {"current": case.current, "prior": case.prior} if case.prior else {"current": case.current}


class DemoTraining:
    """One run: its plan, its folder and the network that grows in it."""

    def __init__(self, plan: DemoPlan, folder: Path, progress: Progress = silent) -> None:
        self.plan, self.folder, self.progress = plan, folder, progress
        self._keep_stages_in("stages")
        torch.manual_seed(plan.seed)

    def _keep_stages_in(self, name: str) -> None:
        self.checkpoints = self.folder / name
        self.checkpoints.mkdir(parents=True, exist_ok=True)

    def draw_cases(self, workers: int) -> None:
        """Stage 0."""
        shards = self.plan.shards()
        for n, _ in enumerate(draw_all(shards, self.folder / "cases", workers=workers)):
            self.progress("cases", n + 1, len(shards), {})

    def gather(self) -> Curriculum:
        return gather(load(self.plan.shards(), self.folder / "cases"), self.plan.tellings, self.plan.seed)

    def tokenizer(self, curriculum: Curriculum) -> MedVersaTokenizer:
        """Learn the vocabulary from the instructions, once."""
        path = self.folder / TOKENIZER_FILE
        if not path.exists():
            told = [i for i, _ in curriculum.instructions] + _organ_instructions(self.plan.seed)
            texts = (text for i in told for text in (i.question, f" {i.answer}"))
            train_tokenizer(texts, self.plan.sizes.vocabulary).save(str(path))
        return MedVersaTokenizer.from_file(path)

    def network(self, tokenizer: MedVersaTokenizer) -> MedVersaNetwork:
        """Start from random numbers that depend on the seed only."""
        torch.manual_seed(self.plan.seed)
        return MedVersaNetwork(
            replace(self.plan.sizes, vocabulary=tokenizer.tokenizer.get_vocab_size())
        ).requires_grad_(False)

    def train_encoder_2d(
        self, name: str, network: MedVersaNetwork, pool: PlanarPool, lessons: EncoderLessons
    ) -> None:
        """Stage 1: `encoder_2d`, later `encoder_2d_fine` with nodules set into half of the radiographs."""
        share = torch.tensor(KIND_SHARES)[pool.truth.kind] / pool.truth.kind.bincount()[pool.truth.kind]
        modules: dict[str, nn.Module] = {
            "visual_encoder_2d": network.visual_encoder_2d,
            "ln_vision_2d": network.ln_vision_2d,
            "lessons": lessons,
        }
        nodules = NODULE_SHARES[name]

        def step(n: int) -> dict[str, Tensor]:
            rng = torch.Generator().manual_seed(self.plan.seed + n)
            rows = torch.multinomial(share, self.plan.encoder_batch, replacement=True, generator=rng)
            pictures, truth = pool.variants(rows, rng, 56, nodules)
            with torch.autocast("cpu", torch.bfloat16):
                return lessons.loss(*cells_and_tokens(network, normalised(pictures)), truth)

        self._run(name, modules, step, rate=RATES[name], weight_decay=0.05)

    def train_unet_3d(self, network: MedVersaNetwork, pool: VolumePool) -> nn.Embedding:
        """Stage 2, volumes; returns one vector per organ."""
        vectors = _vectors(len(ABDOMINAL_ORGANS), network.sizes.unet3d_widths[-1])
        modules: dict[str, nn.Module] = {
            "visual_encoder_3d": network.visual_encoder_3d,
            "text2seg_3d_gn": network.text2seg_3d_gn,
            "vectors": vectors,
        }
        step = volume_step(
            volume_module(network, vectors),
            pool,
            network.sizes.volume_grid,
            SegmentationPlan(),
            self.plan.seed,
        )
        self._run("unet_3d", modules, step, rate=RATES["unet_3d"], weight_decay=0.01)
        return vectors

    def train_unet_2d(self, network: MedVersaNetwork, pool: PlanarPool) -> nn.Embedding:
        """Stage 2, pictures; returns one vector per structure."""
        vectors = _vectors(len(MASKS), network.sizes.unet2d_width * 8)
        modules: dict[str, nn.Module] = {
            "model_seg_2d": network.model_seg_2d,
            "text2seg_2d_gn": network.text2seg_2d_gn,
            "vectors": vectors,
        }
        step = planar_step(planar_module(network, vectors), pool, SegmentationPlan(), self.plan.seed)
        self._run("unet_2d", modules, step, rate=RATES["unet_2d"], weight_decay=0.01)
        return vectors

    def planar_lessons(
        self, eyes: str, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, curriculum: Curriculum
    ) -> Seen:
        """Look at every picture once with the frozen encoder, and put the instructions into ids."""
        network.eval()
        kept = self.checkpoints / f"seen_by_{eyes}.safetensors"
        if not kept.exists():
            rng = torch.Generator().manual_seed(self.plan.seed)
            seen = see_pictures(network, curriculum.pictures, self.plan.picture_variants, rng)
            save_file({"tokens": seen.tokens, "windows": seen.windows}, kept)
        pictures, visual = SeenPictures(**load_file(kept)), network.sizes.visual_tokens
        lessons = [
            lesson
            for instruction, rows in curriculum.instructions
            for lesson in (
                region_lessons(instruction, rows, tokenizer, visual, pictures.windows)
                if instruction.region
                else (lesson_of(instruction, rows, tokenizer, visual),)
            )
        ]
        return Seen(lessons, pictures, torch.zeros(0))

    def all_lessons(
        self, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, planar: Seen, pool: VolumePool
    ) -> Seen:
        """Add what can be asked about slabs of the volumes."""
        network.eval()
        kept = self.checkpoints / "seen_slabs.safetensors"
        if not kept.exists():
            slabs = see_slabs(network, pool, self.plan.volume_variants, self.plan.seed)
            save_file({"tokens": slabs.tokens, "shown": slabs.shown}, kept)
        slabs, visual = SeenSlabs(**load_file(kept)), network.sizes.visual_tokens
        asked = slab_instructions(slabs.shown, self.plan.seed)
        about = [lesson_of(i, rows, tokenizer, visual) for i, rows in asked]
        return Seen([*planar.lessons, *about], planar.pictures, slabs.tokens)

    def train_language(
        self,
        name: str,
        network: MedVersaNetwork,
        tokenizer: MedVersaTokenizer,
        seen: Seen,
        hearing: Mapping[str, Hearing] | None = None,
    ) -> None:
        """Stages 2 and 5: `language_first` on pictures, `language` on volumes too."""
        sampler = TaskSampler([lesson.instruction for lesson in seen.lessons], TASK_WEIGHTS, self.plan.seed)
        network.llama_model.train()

        def step(n: int) -> dict[str, Tensor]:
            rng = torch.Generator().manual_seed(self.plan.seed + n)
            drawn = [seen.lessons[i] for i in sampler.draw(n, self.plan.language_batch)]
            batch = batch_of(drawn, seen.pictures, seen.volumes, rng)
            return language_losses(network, batch, tokenizer, hearing or {})

        modules: dict[str, nn.Module] = {
            "llama_model": network.llama_model,
            "llama_proj_2d": network.llama_proj_2d,
            "llama_proj_3d": network.llama_proj_3d,
            "text_det": network.text_det,
            **{f"text of {tag}": ear.text for tag, ear in (hearing or {}).items()},
        }
        self._run(name, modules, step, rate=RATES[name], weight_decay=0.02)
        network.eval()

    def run(self, workers: int) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """Go through all stages in order."""
        self.draw_cases(workers)
        curriculum = self.gather()
        tokenizer = self.tokenizer(curriculum)
        network = self.network(tokenizer)
        lessons = EncoderLessons(network.sizes)
        self.train_encoder_2d("encoder_2d", network, curriculum.pictures, lessons)
        early = self.planar_lessons("encoder_2d", network, tokenizer, curriculum)
        self.train_language("language_first", network, tokenizer, early)
        structures = self.train_unet_2d(network, curriculum.pictures)
        organs = self.train_unet_3d(network, curriculum.volumes)
        self.train_encoder_2d("encoder_2d_fine", network, curriculum.pictures, lessons)
        planar = self.planar_lessons("encoder_2d_fine", network, tokenizer, curriculum)
        everything = self.all_lessons(network, tokenizer, planar, curriculum.volumes)
        hearing = {
            "<2DSEG>": Hearing(network.text2seg_2d, structures),
            "<3DSEG>": Hearing(network.text2seg_3d, organs),
        }
        self.train_language("language", network, tokenizer, everything, hearing)
        self.train_hearing(network, tokenizer, everything, hearing)
        return network, tokenizer

    def go_on(self, start: MedVersaFamily, workers: int) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """Go on from trained weights that keep their eyes: what speaks, and what hears it, learns on."""
        self._keep_stages_in(f"stages_from_{start.identity.weights_sha256[:12]}")
        network, tokenizer = start.network.requires_grad_(False), start.tokenizer
        self.draw_cases(workers)
        curriculum = self.gather()
        planar = self.planar_lessons("start", network, tokenizer, curriculum)
        everything = self.all_lessons(network, tokenizer, planar, curriculum.volumes)
        hearing = self.heard(network, tokenizer, everything)
        self.train_language("language_on", network, tokenizer, everything, hearing)
        self.train_hearing(network, tokenizer, everything, hearing)
        return network, tokenizer

    def heard(self, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, seen: Seen) -> dict[str, Hearing]:
        """Recover what the U-Nets expect of each tag; weights do not hold the vectors of their training."""
        hearing: dict[str, Hearing] = {}
        for tag, text, structures in (
            ("<2DSEG>", network.text2seg_2d, len(MASKS)),
            ("<3DSEG>", network.text2seg_3d, len(ABDOMINAL_ORGANS)),
        ):
            states, wanted = self._tag_states(tag, network, tokenizer, seen)
            hearing[tag] = Hearing(text, recovered_vectors(text, states, wanted, structures))
        return hearing

    def train_hearing(
        self,
        network: MedVersaNetwork,
        tokenizer: MedVersaTokenizer,
        seen: Seen,
        hearing: Mapping[str, Hearing],
    ) -> None:
        """Stage 6."""
        for (tag, ear), name in zip(hearing.items(), ("hearing_2d", "hearing_3d"), strict=True):
            states, wanted = self._tag_states(tag, network, tokenizer, seen)
            step = hearing_step(ear, states, wanted, self.plan.seed)
            self._run(name, {"text": ear.text}, step, rate=RATES[name], weight_decay=0.0)
        network.requires_grad_(False)

    def _tag_states(
        self, tag: str, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, seen: Seen
    ) -> tuple[Tensor, Tensor]:
        """States of a tag over up to 1500 lessons, and which structure each means."""
        rng = torch.Generator().manual_seed(self.plan.seed)
        shown = [lesson for lesson in seen.lessons if tag in lesson.instruction.answer][::7][:1500]
        parts = [shown[n : n + 32] for n in range(0, len(shown), 32)]
        batches = [batch_of(part, seen.pictures, seen.volumes, rng) for part in parts]
        states = tag_states(network, batches, tokenizer, tag)
        return states.clone(), torch.cat([batch.structures for batch in batches])

    def _run(
        self,
        name: str,
        modules: dict[str, nn.Module],
        step: Callable[[int], dict[str, Tensor]],
        *,
        rate: float,
        weight_decay: float,
    ) -> None:
        stage = Stage(name, modules, self.plan.steps[name], rate, weight_decay)
        run_stage(stage, step, self.checkpoints, self.progress)
        for module in modules.values():
            module.requires_grad_(False)


def _organ_instructions(seed: int) -> list[Instruction]:
    """Words about organs, present and absent, for the vocabulary."""
    rng, nothing = np.random.default_rng([seed, 3]), np.zeros((1, 1, 1), np.float32)
    whole = {name: np.ones((1, 1, 1), bool) for name in ABDOMINAL_ORGANS}
    cases = [AbdomenCase(seed, nothing, np.eye(4), masks) for masks in (whole, {}) for _ in range(60)]
    return [instruction for case in cases for instruction in instructions_for(case, rng)]


def _vectors(structures: int, channels: int) -> nn.Embedding:
    vectors = nn.Embedding(structures, channels)
    nn.init.normal_(vectors.weight, std=1.0)
    return vectors
