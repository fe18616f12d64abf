"""Everything that decides what a run becomes: read from TOML, kept as JSON in the run folder."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, model_validator

from model.errors import TrainingError
from model.reading import Modality
from model.training.losses import RECIPES
from model.training.runs.parts import PARTS
from model.training.sampling import TASK_GROUPS
from model.training.schedule import Schedule

Share = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Phantoms(_Section):
    """Phantoms that are drawn into the run folder, or taken from where they were drawn before."""

    phantoms: dict[str, Count]
    """Cases of each kind of `model.training.datasets.phantoms.GENERATORS`."""
    validation: Share = 0.05
    """Cases for validation, relative to the others; at least one of each kind."""
    folder: Path | None = None
    """None: `cases` in the run folder."""


class Prepared(_Section):
    """A folder that `medversa-node train prepare` or `train export` has written."""

    prepared: Path
    source: Path | None = None
    """Where the files lie that its records name; None: where they lay when it was prepared."""
    cases: Count | None = None
    """Take only so many records of each split, from its beginning; None takes all."""


class Batch(_Section):
    """How much one step of the optimizer sees."""

    size: Count = 16
    """Examples of a step, on all devices together."""
    micro: Count = 16
    """Examples that go through the network at once; the others of the step follow (gradient accumulation).

    A loss over a whole batch, such as the released Dice, is over these. A step is divided in the same way
    on however many devices.
    """
    per_case: Count = 1
    """Questions about each drawn case, whose pictures are then encoded once for all of them."""
    answer_tokens: Count = 256
    """Longer answers are cut; 256 in the released code."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.size % self.micro or self.micro % self.per_case:
            raise ValueError("size must be a multiple of micro, and micro of per_case")
        return self


class Descent(_Section):
    """AdamW and its schedule; the published rates are 1e-7, 3e-4 and 3e-6, its weight decay is unknown."""

    peak_rate: Annotated[float, Field(gt=0)] = 3e-4
    start_rate: Share = 1e-7
    end_rate: Share = 3e-6
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Steps; 3,000 of 500,000 in the paper."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: Share = 0.05
    """Of matrices; biases and norms are spared."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Longest gradient of all parameters together; None, as released, does not clip."""


class Lora(_Section):
    """The adapter that is put on a language model which has none."""

    rank: Count = 16
    alpha: Count = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class Keeping(_Section):
    """What is kept on the way, and when a run ends early."""

    every: Count = 500
    """Steps between checkpoints."""
    last: Count = 2
    """Newest checkpoints that are kept, beside the best."""
    validate_every: Count = 500
    """Steps between validations."""
    validation_batches: Annotated[int, Field(ge=0)] = 4
    """Micro-batches of each modality and task; 0 does not validate."""
    best_by: Literal["loss", "language", "dice", "iou"] = "loss"
    """The figure of validation that chooses the weights: losses fall, overlaps rise."""
    patience: Count | None = None
    """Validations without a better figure after which the run ends; None runs all steps."""


class RunPlan(_Section):
    """One run."""

    name: str
    """Of the weights that it makes."""
    start_from: str
    """Shipped weights by name, or a folder of weights: converted, or as released."""
    steps: Count
    data: Annotated[tuple[Phantoms | Prepared, ...], Field(min_length=1)]
    version: str = "1"
    seed: Annotated[int, Field(ge=0)] = 0
    train: frozenset[str] = frozenset({"lora", "projections", "detection", "segmentation_2d"})
    """Names of `PARTS` that learn; all others are frozen."""
    recipe: str = "released"
    """Name of the losses, see `RECIPES`."""
    augmentation: Literal["paper", "released", "none"] = "paper"
    """They differ in the axis along which volumes are mirrored: any, or depth."""
    modalities: dict[Modality, Share] = Field(default_factory=dict)
    """How often a modality is drawn, relative to the others; 1 if not named."""
    tasks: dict[str, Share] = Field(default_factory=dict)
    """How often a group of tasks is drawn within its modality; 1 if not named."""
    batch: Batch = Batch()
    descent: Descent = Descent()
    lora: Lora = Lora()
    keep: Keeping = Keeping()
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    """Of a frozen language model; see `model.precision`. What learns is float32."""
    autocast: bool = True
    """Multiply in bfloat16."""
    recompute: bool = False
    """Activation checkpointing: less memory, about a third more time."""
    compile: bool = False
    """Compile the layers of the language model."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` takes the accelerator that is there."""
    loaders: Annotated[int, Field(ge=0)] = 0
    """Processes of each device that prepare batches ahead; 0 prepares them in between."""

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for names, known in (
            (self.train, PARTS.keys() - {"unused"}),
            (self.tasks.keys(), TASK_GROUPS.keys()),
            ({self.recipe}, RECIPES.keys()),
        ):
            if unknown := sorted(names - known):
                raise ValueError(f"no {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        if not self.train:
            raise ValueError("nothing is to be trained")
        return self

    @field_serializer("train", when_used="json")
    def _in_order(self, train: frozenset[str]) -> list[str]:
        return sorted(train)

    @property
    def only_phantoms(self) -> bool:
        """Whether all data are generated; demonstration weights then stay such."""
        return all(isinstance(section, Phantoms) for section in self.data)

    @property
    def schedule(self) -> Schedule:
        d = self.descent
        return Schedule(self.steps, d.peak_rate, d.start_rate, d.end_rate, d.warm_up)


def read_plan(path: Path) -> RunPlan:
    """Read a plan from TOML; its relative paths are relative to it.

    Raises:
        TrainingError: the file is not TOML, or a field is missing, unknown or out of range.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        plan = RunPlan.model_validate(said)
    except tomllib.TOMLDecodeError as exc:
        raise TrainingError(f"{path.name} is no plan of a run: {exc}") from exc
    except ValidationError as exc:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in exc.errors())
        raise TrainingError(f"{path.name} is no plan of a run: {'; '.join(problems)}") from exc
    return _rooted(plan, path.resolve().parent)


def _rooted(plan: RunPlan, folder: Path) -> RunPlan:
    start = plan.start_from
    if (folder / start).is_dir():
        start = str(folder / start)
    data = tuple(
        section.model_copy(
            update={
                name: folder / value
                for name in ("prepared", "source", "folder")
                if (value := getattr(section, name, None)) is not None
            }
        )
        for section in plan.data
    )
    return plan.model_copy(update={"start_from": start, "data": data})
