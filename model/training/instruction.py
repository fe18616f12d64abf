"""One training example of instruction tuning: a question about named images and its answer with targets."""

from dataclasses import dataclass

from model.questions import Form
from model.reading import Modality, Task
from model.training.phantoms.truth import Box


@dataclass(frozen=True, slots=True)
class Instruction:
    """A question, its answer and what each tag of the answer must yield.

    The question names images as `<img0>`, `<img1>`, … in the order of `images`.
    """

    modality: Modality
    task: Task
    form: Form
    images: tuple[str, ...]
    """Which images of the case are shown, in order: `current`, `prior`."""
    question: str
    answer: str
    """With `<DET>`, `<N/A>`, `<2DSEG>`, `<3DSEG>` tags; without the end mark."""
    boxes: tuple[Box, ...] = ()
    """One per `<DET>` of the answer, in order."""
    subjects: tuple[str, ...] = ()
    """The labels that are asked about, as answers spell them."""
    region: Box | None = None
    """The box that the question tells, for region captioning."""
    extents: tuple[tuple[float, float], ...] = ()
    """Of each change that the answer tells, in order: how large the finding is now and was before."""
    mask: str | None = None
    """Label of the mask of the first image for the `<2DSEG>` or `<3DSEG>` of the answer."""
