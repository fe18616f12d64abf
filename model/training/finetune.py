"""Makes the demonstration weights from nothing but seeds, in stages that can be interrupted.

0. Draw phantom cases (chest, foreign, skin, abdomen) into the run folder.
1. `encoder_2d`: the Swin encoder learns from auxiliary heads on every cell (`encoder_lessons`), which are
   thrown away. The released model starts from pre-trained encoders too.
2. `unet_2d`, `unet_3d`, `unet_3d_fine`: both U-Nets learn masks with one vector per structure in place of
   words, volumes on a coarser grid first. The encoder half of the 3D U-Net is the volume encoder.
3. `language`: encoders are frozen, as in the released code. The visual tokens of every picture are computed
   once, in several variants; projections, language model (base and LoRA both learn: there is no pre-trained
   base at this size) and detection head learn instructions, one homogeneous batch at a time. The state of a
   segmentation tag learns, through `text2seg_*`, to give the vector of its structure; auxiliary heads
   (`language_heads`) ask states where they look. Matrices of the language model learn by Muon (`descent`).
4. `hearing_2d`, `hearing_3d`: the language model is frozen; `text2seg_*` learn on alone.
5. Weights, tokenizer and configuration are written; `model.training.examination` examines them on held-out
   seeds.

Weights that exist already can go on to new tasks (`--start-from`): encoders, U-Nets and tokenizer stay as
they are, and `language_on` takes the place of stages 1 to 3.

Every stage leaves a file in the run folder; running again goes on where it stopped. Stages run on a GPU where
there is one, else in as many processes as are given, each of which takes its part of every batch.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
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
from model.training.curriculum import Curriculum, gather
from model.training.datasets.phantoms import Shard, draw_all, load, shards_of
from model.training.descent import Matrices, matrices_of
from model.training.devices import mixed_precision, training_device
from model.training.encoder_lessons import EncoderLessons, begin_as_convolution, cells_of
from model.training.instruction import Instruction
from model.training.instructions import instructions_for
from model.training.language_heads import Heads
from model.training.language_lessons import (
    Hearing,
    SeenPictures,
    batch_of,
    begin_narrow,
    language_losses,
    lesson_of,
    region_lessons,
    see_variant,
    tag_states,
    windows_of,
)
from model.training.lesions import PIXELS_OF_LARGEST, set_lesions
from model.training.phantoms.truth import AbdomenCase
from model.training.planar_pool import KINDS, MASKS, SLOTS, PlanarPool, PlanarTruth, normalised
from model.training.ranks import ALONE, Rank, gathered
from model.training.sampling import TaskSampler
from model.training.seeing import Eyes, Seen
from model.training.segmentation_lessons import (
    SegmentationPlan,
    hearing_step,
    lay_out,
    planar_module,
    planar_step,
    recovered_vectors,
    volume_module,
    volume_step,
)
from model.training.slab_lessons import SeenSlabs, see_slabs, slab_instructions
from model.training.stages import Progress, Stage, run_stage, silent
from model.training.volume_pool import VolumePool
from model.weights import TOKENIZER_FILE

logger = logging.getLogger(__name__)

TASK_WEIGHTS = {
    (Modality.CXR, Task.REPORT): 2.0,
    (Modality.CXR, Task.CLASSIFICATION): 2.5,
    (Modality.CXR, Task.ANATOMY_DETECTION): 1.5,
    (Modality.CXR, Task.PATHOLOGY_DETECTION): 4.0,
    (Modality.CXR, Task.SEGMENTATION): 1.5,
    (Modality.CXR, Task.COMPARISON): 12.0,
    (Modality.CXR, Task.VQA): 4.0,
    (Modality.CXR, Task.REGION_CAPTIONING): 2.5,
    (Modality.DERM, Task.CLASSIFICATION): 1.0,
    (Modality.DERM, Task.SEGMENTATION): 0.5,
    (Modality.CT, Task.SEGMENTATION): 1.0,
}
"""How often a task is drawn, relative to the others."""

RATES = {
    "encoder_2d": 2e-3,
    "unet_2d": 2e-3,
    "unet_3d": 2e-3,
    "unet_3d_fine": 1.5e-3,
    "language": 1.5e-3,
    "language_on": 8e-4,
    "hearing_2d": 3e-3,
    "hearing_3d": 3e-3,
}
"""Peak learning rate of each stage."""

MUON_RATES = {"encoder_2d": 6.0, "language": 2.0}
"""Rate of matrices between states, relative to that of all else."""

FIRST_STAGES = (
    "encoder_2d",
    "unet_2d",
    "unet_3d",
    "unet_3d_fine",
    "language",
    "hearing_2d",
    "hearing_3d",
)
ON_STAGES = ("language_on", "hearing_2d", "hearing_3d")
"""Stages of a run from nothing, and of one that goes on from weights."""

LESION_SHARE = 0.5
"""Part of the encoder's radiographs into which a nodule or a consolidation is set."""

LESION_STRENGTH = (2.5, 0.5)
"""How much brighter than in life lesions are set at first, and the part of the steps until they are not."""

HARD_SHARE = 3.0
"""How much oftener the encoder sees a radiograph with a nodule or a consolidation than another."""

KIND_SHARES = (0.80, 0.13, 0.07)
"""Of each encoder batch: chest, skin, foreign; radiographs are the hardest to read."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Everything that decides what the demonstration weights become."""

    seed: int = 0
    cases: dict[str, int] = field(
        default_factory=lambda: {"chest": 3600, "foreign": 800, "skin": 1400, "abdomen": 250}
    )
    """Phantoms of each kind; their seeds count from `seed`."""
    steps: dict[str, int] = field(
        default_factory=lambda: {
            "encoder_2d": 2400,
            "unet_2d": 450,
            "unet_3d": 400,
            "unet_3d_fine": 210,
            "language": 6400,
            "language_on": 1800,
            "hearing_2d": 400,
            "hearing_3d": 400,
        }
    )
    """Steps of each stage."""
    encoder_batch: int = 32
    language_batch: int = 32
    picture_variants: int = 4
    volume_variants: int = 2
    tellings: int = 1
    """How often the instructions of a case are drawn anew."""
    strangers: float = 1.0
    """Comparisons of radiographs of two persons, per radiograph."""
    sizes: MedVersaSizes = DEMO

    def shards(self) -> list[Shard]:
        return [shard for kind, n in self.cases.items() for shard in shards_of(kind, self.seed, n)]


class DemoTraining:
    """One run: its plan, its folder and the network that grows in it."""

    def __init__(self, plan: DemoPlan, folder: Path, progress: Progress = silent, rank: Rank = ALONE) -> None:
        self.plan, self.folder, self.rank = plan, folder, rank
        self.progress = progress if rank.leads else silent
        self.device = training_device()
        self.keep_stages_in("stages")
        torch.manual_seed(plan.seed)

    def keep_stages_in(self, name: str) -> None:
        """Choose the folder of the stages that come next."""
        self.checkpoints = self.folder / name
        self.checkpoints.mkdir(parents=True, exist_ok=True)

    def draw_cases(self, workers: int) -> None:
        """Stage 0."""
        shards = self.plan.shards()
        for n, _ in enumerate(draw_all(shards, self.folder / "cases", workers=workers)):
            self.progress("cases", n + 1, len(shards), {})

    def gather(self) -> Curriculum:
        cases = load(self.plan.shards(), self.folder / "cases")
        return gather(cases, self.plan.tellings, self.plan.strangers, self.plan.seed)

    def tokenizer(self, curriculum: Curriculum) -> MedVersaTokenizer:
        """Learn the vocabulary from the instructions, once."""
        path = self.folder / TOKENIZER_FILE
        if not path.exists() and self.rank.leads:
            told = [i for i, _ in curriculum.instructions] + _organ_instructions(self.plan.seed)
            texts = (text for i in told for text in (i.question, f" {i.answer}"))
            train_tokenizer(texts, self.plan.sizes.vocabulary).save(str(path))
        self.rank.meet()
        return MedVersaTokenizer.from_file(path)

    def network(self, tokenizer: MedVersaTokenizer) -> MedVersaNetwork:
        """Start from random numbers that depend on the seed only."""
        torch.manual_seed(self.plan.seed)
        sizes = replace(self.plan.sizes, vocabulary=tokenizer.tokenizer.get_vocab_size())
        network = MedVersaNetwork(sizes).requires_grad_(False)
        begin_as_convolution(network.visual_encoder_2d)
        begin_narrow(network.llama)
        return network.to(self.device)

    def train_encoder_2d(self, network: MedVersaNetwork, pool: PlanarPool) -> None:
        """Stage 1."""
        lessons = EncoderLessons(network.sizes).to(self.device)
        share = _shares(pool.truth)
        modules: dict[str, nn.Module] = {
            "visual_encoder_2d": network.visual_encoder_2d,
            "ln_vision_2d": network.ln_vision_2d,
            "lessons": lessons,
        }
        at_once = self.rank.share(self.plan.encoder_batch)

        def step(n: int) -> dict[str, Tensor]:
            rng = self.rank.generator(self.plan.seed, n)
            rows = torch.multinomial(share, at_once, replacement=True, generator=rng)
            strength = strength_at(n / self.plan.steps["encoder_2d"])
            lesions = partial(set_lesions, share=LESION_SHARE, strength=strength)
            pictures, truth = pool.variants(rows, rng, 56, lesions)
            with mixed_precision(self.device):
                seen = cells_of(network, normalised(pictures.to(self.device)))
                return lessons.loss(*seen, truth.to(self.device))

        # Fused kernels are the slower ones at these sizes, where gradients are wanted.
        network.visual_encoder_2d.set_attn_implementation("eager")
        matrices = matrices_of(network.visual_encoder_2d, MUON_RATES["encoder_2d"])
        self._run("encoder_2d", modules, step, weight_decay=0.05, matrices=matrices)
        network.visual_encoder_2d.set_attn_implementation("sdpa")

    def train_unet_3d(self, network: MedVersaNetwork, pool: VolumePool) -> nn.Embedding:
        """Stage 2, volumes; returns one vector per organ."""
        vectors = _vectors(len(ABDOMINAL_ORGANS), network.sizes.unet3d_widths[-1]).to(self.device)
        modules: dict[str, nn.Module] = {
            "visual_encoder_3d": network.visual_encoder_3d,
            "text2seg_3d_gn": network.text2seg_3d_gn,
            "vectors": vectors,
        }
        # Convolutions of few channels take a third less time on a CPU with all channels of a voxel together.
        lay_out(network.visual_encoder_3d, torch.channels_last_3d)
        module, plan = volume_module(network, vectors), self._segmentation_plan("unet_3d")
        grid = network.sizes.volume_grid
        self._run("unet_3d", modules, volume_step(module, pool, grid, plan))
        fine = replace(self._segmentation_plan("unet_3d_fine"), seed=self.plan.seed + 1, coarse=0.0)
        self._run("unet_3d_fine", modules, volume_step(module, pool, grid, fine))
        lay_out(network.visual_encoder_3d, torch.contiguous_format)
        return vectors

    def train_unet_2d(self, network: MedVersaNetwork, pool: PlanarPool) -> nn.Embedding:
        """Stage 2, pictures; returns one vector per structure."""
        vectors = _vectors(len(MASKS), network.sizes.unet2d_width * 8).to(self.device)
        modules: dict[str, nn.Module] = {
            "model_seg_2d": network.model_seg_2d,
            "text2seg_2d_gn": network.text2seg_2d_gn,
            "vectors": vectors,
        }
        plan = self._segmentation_plan("unet_2d")
        self._run("unet_2d", modules, planar_step(planar_module(network, vectors), pool, plan))
        return vectors

    def _segmentation_plan(self, stage: str) -> SegmentationPlan:
        return SegmentationPlan(self.plan.seed, self.plan.steps[stage], self.device, self.rank)

    def planar_lessons(
        self, eyes: str, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, curriculum: Curriculum
    ) -> Seen:
        """Look at every picture once with the frozen encoder, and put the instructions into ids."""
        network.eval()
        pictures = self._seen_pictures(eyes, network, curriculum.pictures)
        visual = network.sizes.visual_tokens
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

    def _seen_pictures(self, eyes: str, network: MedVersaNetwork, pool: PlanarPool) -> SeenPictures:
        """One file for each variant, so that processes share the work."""
        variants = self.plan.picture_variants
        rng = torch.Generator().manual_seed(self.plan.seed)
        windows = windows_of(len(pool.pictures), variants, rng)
        files = [self.checkpoints / f"seen_by_{eyes}_{v}.safetensors" for v in range(variants)]
        for v in self.rank.part(range(variants)):
            if not files[v].exists():
                drawn = torch.Generator().manual_seed(self.plan.seed + v)
                tokens = see_variant(network, pool, windows[v] if v else None, drawn)
                save_file({"tokens": tokens}, files[v])
        self.rank.meet()
        return SeenPictures([load_file(file)["tokens"] for file in files], windows, pool.truth)

    def all_lessons(
        self, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, planar: Seen, pool: VolumePool
    ) -> Seen:
        """Add what can be asked about slabs of the volumes."""
        network.eval()
        kept = self.checkpoints / "seen_slabs.safetensors"
        if not kept.exists() and self.rank.leads:
            slabs = see_slabs(network, pool, self.plan.volume_variants, self.plan.seed)
            save_file({"tokens": slabs.tokens, "shown": slabs.shown}, kept)
        self.rank.meet()
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
        hearing: Mapping[str, Hearing],
    ) -> None:
        """Stage 3."""
        sampler = TaskSampler([lesson.instruction for lesson in seen.lessons], TASK_WEIGHTS, self.plan.seed)
        network.llama_model.train()
        heads = Heads(network.sizes).to(self.device)

        def step(n: int) -> dict[str, Tensor]:
            rng = self.rank.generator(self.plan.seed, n)
            drawn = self.rank.part(sampler.draw(n, self.plan.language_batch))
            batch = batch_of([seen.lessons[i] for i in drawn], seen.pictures, seen.volumes, rng)
            with mixed_precision(self.device):
                return language_losses(network, batch.to(self.device), tokenizer, hearing, heads)

        modules: dict[str, nn.Module] = {
            "llama_model": network.llama_model,
            "llama_proj_2d": network.llama_proj_2d,
            "llama_proj_3d": network.llama_proj_3d,
            "text_det": network.text_det,
            "heads": heads,
            **{f"text of {tag}": ear.text for tag, ear in hearing.items()},
        }
        matrices = matrices_of(network.llama_model, MUON_RATES["language"])
        network.llama.set_attn_implementation("eager")
        self._run(name, modules, step, weight_decay=0.02, matrices=matrices)
        network.llama.set_attn_implementation("sdpa")
        network.eval()

    def run(self, workers: int) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """Go through all stages in order, in `workers` processes where there is no GPU."""
        self.draw_cases(workers)
        follow = partial(_follow, plan=self.plan, folder=self.folder)
        with gathered(1 if self.device.type == "cuda" else workers, follow) as self.rank:
            return self.learn()

    def learn(self) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """Stages 1 to 4, in step with the other processes."""
        eyes = self.learn_to_see()
        self.learn_to_speak(eyes)
        return eyes.network.cpu(), eyes.tokenizer

    def learn_to_see(self) -> Eyes:
        """Stages 1 and 2, and what these eyes see."""
        curriculum = self.gather()
        tokenizer = self.tokenizer(curriculum)
        network = self.network(tokenizer)
        self.train_encoder_2d(network, curriculum.pictures)
        structures = self.train_unet_2d(network, curriculum.pictures)
        organs = self.train_unet_3d(network, curriculum.volumes)
        planar = self.planar_lessons("encoder_2d", network, tokenizer, curriculum)
        seen = self.all_lessons(network, tokenizer, planar, curriculum.volumes)
        return Eyes(network, tokenizer, seen, structures, organs)

    def learn_to_speak(self, eyes: Eyes, tasks: Collection[Task] = tuple(Task)) -> None:
        """Stages 3 and 4, of all tasks or some."""
        seen = eyes.seen.about(tasks)
        self.train_language("language", eyes.network, eyes.tokenizer, seen, eyes.hearing)
        if Task.SEGMENTATION in tasks:
            self.train_hearing(eyes.network, eyes.tokenizer, seen, eyes.hearing)
        eyes.network.requires_grad_(False)

    def go_on(self, start: MedVersaFamily, workers: int) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """Go on from trained weights that keep their eyes: what speaks, and what hears it, learns on."""
        self.draw_cases(workers)
        follow = partial(_follow_on, plan=self.plan, folder=self.folder, start=start)
        with gathered(1 if self.device.type == "cuda" else workers, follow) as self.rank:
            return self.learn_on(start)

    def learn_on(self, start: MedVersaFamily) -> tuple[MedVersaNetwork, MedVersaTokenizer]:
        """What follows for eyes that are there already, in step with the other processes."""
        self.keep_stages_in(f"stages_from_{start.identity.weights_sha256[:12]}")
        network, tokenizer = start.network.requires_grad_(False).to(self.device), start.tokenizer
        curriculum = self.gather()
        planar = self.planar_lessons("start", network, tokenizer, curriculum)
        everything = self.all_lessons(network, tokenizer, planar, curriculum.volumes)
        hearing = self.heard(network, tokenizer, everything)
        self.train_language("language_on", network, tokenizer, everything, hearing)
        self.train_hearing(network, tokenizer, everything, hearing)
        return network.cpu(), tokenizer

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
            self._run(name, {"text": ear.text}, step, weight_decay=0.0)
        network.requires_grad_(False)

    def _tag_states(
        self, tag: str, network: MedVersaNetwork, tokenizer: MedVersaTokenizer, seen: Seen
    ) -> tuple[Tensor, Tensor]:
        """States of a tag over up to 1500 lessons, and which structure each means."""
        rng = torch.Generator().manual_seed(self.plan.seed)
        shown = [lesson for lesson in seen.lessons if tag in lesson.instruction.answer][::7][:1500]
        parts = [shown[n : n + 32] for n in range(0, len(shown), 32)]
        batches = [batch_of(part, seen.pictures, seen.volumes, rng).to(self.device) for part in parts]
        states = tag_states(network, batches, tokenizer, tag)
        return states.clone(), torch.cat([batch.structures for batch in batches])

    def _run(
        self,
        name: str,
        modules: dict[str, nn.Module],
        step: Callable[[int], dict[str, Tensor]],
        weight_decay: float = 0.01,
        matrices: Matrices | None = None,
    ) -> None:
        stage = Stage(name, modules, self.plan.steps[name], RATES[name], weight_decay, matrices)
        run_stage(stage, step, self.checkpoints, self.progress, self.rank)
        for module in modules.values():
            module.requires_grad_(False)


def strength_at(done: float) -> float:
    """How bright lesions are set when a part of the steps is done."""
    first, until = LESION_STRENGTH
    return 1 + (first - 1) * max(1 - done / until, 0)


def _shares(truth: PlanarTruth) -> Tensor:
    """How often the encoder sees each picture."""
    hard = [n for n, (label, _, _) in enumerate(SLOTS) if label in PIXELS_OF_LARGEST]
    weight = 1 + (HARD_SHARE - 1) * truth.present[:, hard].amax(1)
    of_kind = torch.zeros(len(KINDS)).index_add(0, truth.kind, weight)
    return torch.tensor(KIND_SHARES)[truth.kind] * weight / of_kind[truth.kind]


def _follow(rank: Rank, plan: DemoPlan, folder: Path) -> None:
    """What each further process does."""
    DemoTraining(plan, folder, rank=rank).learn()


def _follow_on(rank: Rank, plan: DemoPlan, folder: Path, start: MedVersaFamily) -> None:
    DemoTraining(plan, folder, rank=rank).learn_on(start)


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
