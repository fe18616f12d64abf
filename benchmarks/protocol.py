"""Seconds of a whole chest protocol against one `generate` per request: `python -m benchmarks.protocol`.

The plain side does what a script around a vision-language model does: for each request it encodes the images,
reads the whole prompt and lets transformers write, one answer at a time. Both sides use the same weights and
must write the same answers; they take turns. Only our side multiplies by oneDNN (`model.onednn_linear`).

Preset `demo` is the shipped weights. Preset `160m` has random weights, which end no answer by themselves and
call no tags: both sides then write as many tokens as such an answer typically has (`TYPICAL`) and mask each
organ.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import StoppingCriteria, StoppingCriteriaList

from model.families.family import Generation
from model.families.medversa import MedVersaFamily
from model.families.medversa_networks.generation import Written
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import DEMO
from model.onednn_linear import multiply_by_onednn
from model.protocol import gate_question, questions_for
from model.quantized_layers import decoder_matrices
from model.questions import Form, Question
from model.reading import Modality, PriorImages, ReadingRequest, Task
from model.registry import load_family
from model.training.phantoms.chest import make_chest_case
from model.vision_modules.registry import VISION_MODULES
from model.vision_modules.vision_module import SeenImage
from model.vocabulary import RELEASED
from model.volume import FrameKey, PlanarImage

TYPICAL = {
    Form.GATE: 8,
    Form.FINDINGS: 90,
    Form.IMPRESSION: 30,
    Form.LABELS: 12,
    Form.BINARY: 4,
    Form.DETECTION: 80,
    Form.SEGMENTATION: 14,
    Form.DIFFERENCE: 50,
}
"""Tokens of a typical answer of the published model, end mark included; a detection answer names nine."""

OF_160M = replace(
    DEMO,
    swin_patch=4,
    swin_embed=96,
    swin_depths=(2, 2, 6, 2),
    swin_heads=(3, 6, 12, 24),
    segmentation_size=224,
    unet2d_width=64,
    unet2d_decoder=(256, 128, 64, 32, 16),
    unet2d_groups=16,
    hidden=768,
    feed_forward=2048,
    layers=16,
    heads=12,
)
"""About 160 million parameters, 113 of them in the language model; Swin-T and a 2D U-Net of full width."""


class RandomFamily(MedVersaFamily):
    """Random weights whose answers have the typical length; masks are made from a state of zeros."""

    def limit(self, question: Question) -> int:
        return TYPICAL[question.form]

    def outcome(self, written: Written, first: SeenImage) -> Generation:
        generation = super().outcome(written, first)
        if len(written.ids) != TYPICAL[Form.SEGMENTATION]:
            return generation
        state = torch.zeros(1, self.sizes.hidden)
        return replace(generation, masks=tuple(VISION_MODULES["<2DSEG>"](self.network)(state, first)))


@dataclass(slots=True)
class Parts:
    """Seconds by part, and tokens written."""

    encode: float = 0.0
    prefill: float = 0.0
    decode: float = 0.0
    masks: float = 0.0
    total: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Protocol:
    """The questions of one study in the calls in which the reader puts them."""

    images: tuple[PlanarImage, ...]
    calls: list[list[Question]]

    def shared(self, family: MedVersaFamily) -> list[Generation]:
        """Ask as the program does."""
        sight = family.look(Modality.CXR, self.images)
        return [generation for call in self.calls for generation in sight.answer(call)]

    def plain(self, family: MedVersaFamily) -> list[Generation]:
        """Ask one by one, nothing kept."""
        return [one_generate(family, self.images, question) for call in self.calls for question in call]


def chest_protocol() -> Protocol:
    """A phantom and its prior, asked all that the published model knows of a chest."""
    case = make_chest_case(7, size=512, with_prior=True)
    views = [view for view in (case.current, case.prior) if view is not None]
    current, prior = (PlanarImage(view.pixels, FrameKey(str(n))) for n, view in enumerate(views))
    vocabulary = replace(RELEASED, knows_gate=True)
    tasks = tuple(task for task in Task if task not in (Task.VQA, Task.REGION_CAPTIONING))
    request = ReadingRequest(Modality.CXR, (current,), tasks, (PriorImages((prior,), 30),))
    questions = questions_for(request, vocabulary)
    gates = [gate for n in (0, 1) if (gate := gate_question(Modality.CXR, vocabulary, n))]
    return Protocol((current, prior), [gates, questions])


class EndMark(StoppingCriteria):
    """Ends an answer as the published script does: by its last tokens."""

    def __init__(self, sequences: Sequence[tuple[int, ...]]) -> None:
        self.sequences = sequences

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        ended = any(tuple(input_ids[0, -len(s) :].tolist()) == s for s in self.sequences)
        return torch.tensor([ended], device=input_ids.device)


@torch.inference_mode()
def one_generate(family: MedVersaFamily, images: Sequence[PlanarImage], question: Question) -> Generation:
    """Encode the images, read the prompt and write with transformers' own loop and cache."""
    about = question.images or tuple(range(len(images)))
    seen = family.see([images[n] for n in about])
    prompt = family.prompt(question, family.ids(question, len(seen)), list(enumerate(seen)))
    out = family.network.llama.generate(
        inputs_embeds=prompt.embedded[None],
        attention_mask=torch.ones(1, len(prompt.keys), dtype=torch.long, device=prompt.embedded.device),
        do_sample=False,
        max_new_tokens=prompt.limit,
        eos_token_id=None,
        stopping_criteria=StoppingCriteriaList([EndMark(family.tokenizer.stop_sequences)]),
        return_dict_in_generate=True,
        output_hidden_states=True,
        output_logits=True,
    )
    ids = out.sequences[0].tolist()
    written = Written(
        out.logits[0][0], ids, [step[0].softmax(0)[t].item() for step, t in zip(out.logits, ids, strict=True)]
    )
    written.states = [
        (token, states[-1][0, -1])
        for token, states in zip(ids, out.hidden_states[1:], strict=False)
        if token in family.tokenizer.tags
    ]
    for stop in family.tokenizer.stop_sequences:
        if tuple(ids[-len(stop) :]) == stop:
            written.complete = True
            del ids[-len(stop) :]
    return family.outcome(written, seen[0])


def as_transformers_has_it(family: MedVersaFamily) -> MedVersaFamily:
    """The same weights behind the library's own matrices."""
    network = copy.deepcopy(family.network)
    for name, matrix in list(decoder_matrices(network.llama)):
        plain = nn.Linear(matrix.in_features, matrix.out_features, bias=False, device="meta")
        plain.weight = matrix.weight
        network.llama.set_submodule(name, plain)
    return replace(family, network=network)


@contextmanager
def timed(family: MedVersaFamily) -> Iterator[Parts]:
    """Measure the parts of whatever runs inside, by the modules that both sides call."""
    parts, network = Parts(), family.network
    handles = [
        *_clocked(
            network.visual_encoder_2d, network.visual_encoder_2d, lambda s, _n: _add(parts, "encode", s)
        ),
        *_clocked(
            network.llama.model.layers[0],
            network.llama.model.norm,
            lambda s, length: _add(parts, "prefill" if length > 1 else "decode", s),
        ),
        *(
            handle
            for module in (network.model_seg_2d.encoder, network.model_seg_2d.decoder)
            for handle in _clocked(module, module, lambda s, _n: _add(parts, "masks", s))
        ),
    ]
    start = time.perf_counter()
    try:
        yield parts
    finally:
        parts.total = time.perf_counter() - start
        for handle in handles:
            handle.remove()


def _add(parts: Parts, name: str, seconds: float) -> None:
    setattr(parts, name, getattr(parts, name) + seconds)


def _clocked(
    first: nn.Module, last: nn.Module, tell: Callable[[float, int], None]
) -> list[torch.utils.hooks.RemovableHandle]:
    """Tell seconds from entering `first` to leaving `last`, and the second dimension of what entered."""
    began: list[tuple[float, int]] = []

    def enter(_module: nn.Module, given: tuple[object, ...]) -> None:
        length = given[0].shape[1] if isinstance(given[0], Tensor) else 0
        began.append((time.perf_counter(), length))

    def leave(_module: nn.Module, _given: object, _output: object) -> None:
        start, length = began.pop()
        tell(time.perf_counter() - start, length)

    return [first.register_forward_pre_hook(enter), last.register_forward_hook(leave)]


def family_of(preset: str, device: str) -> MedVersaFamily:
    """Load or make the weights of a preset."""
    family = load_family("medversa-demo", device)
    if not isinstance(family, MedVersaFamily):
        raise TypeError(type(family).__name__)
    if preset == "demo":
        return family
    torch.manual_seed(0)
    network = MedVersaNetwork(OF_160M).requires_grad_(False).eval().to(device)
    if torch.device(device).type == "cpu":
        multiply_by_onednn(network.llama)
    endless = replace(family.tokenizer, stop_sequences=((-1,),))
    return RandomFamily(family.identity, network, endless, vocabulary=family.vocabulary)


def check_equal(shared: list[Generation], plain: list[Generation]) -> None:
    """Refuse to compare speeds of different answers."""
    for n, (ours, theirs) in enumerate(zip(shared, plain, strict=True)):
        if ours.text != theirs.text or len(ours.token_probabilities) != len(theirs.token_probabilities):
            raise SystemExit(f"request {n}: the answers differ")
        if [m.shape for m in ours.masks] != [m.shape for m in theirs.masks]:
            raise SystemExit(f"request {n}: the masks differ")
        for mine, other in zip((*ours.masks, *ours.boxes), (*theirs.masks, *theirs.boxes), strict=True):
            np.testing.assert_allclose(mine, other, atol=0.05)


def measure(preset: str, repeats: int, device: str) -> dict[str, list[dict[str, float]]]:
    """Time both sides in turns; a short one of each goes before, unmeasured."""
    family, protocol = family_of(preset, device), chest_protocol()
    usual = as_transformers_has_it(family)
    warm = Protocol(protocol.images, [call[:2] for call in protocol.calls])
    warm.shared(family)
    warm.plain(usual)
    rows: dict[str, list[dict[str, float]]] = {"shared": [], "plain": []}
    for _ in range(repeats):
        with timed(family) as parts:
            shared = protocol.shared(family)
        parts.tokens = sum(len(generation.token_probabilities) for generation in shared)
        rows["shared"].append(asdict(parts))
        with timed(usual) as parts:
            plain = protocol.plain(usual)
        parts.tokens = sum(len(generation.token_probabilities) for generation in plain)
        rows["plain"].append(asdict(parts))
        check_equal(shared, plain)
    return rows


def report(preset: str, rows: dict[str, list[dict[str, float]]]) -> None:
    """Print the ratio, then the medians of both sides."""
    totals = {side: statistics.median(row["total"] for row in rows[side]) for side in rows}
    print(f"{preset}: {totals['plain'] / totals['shared']:.1f} times faster")
    columns = ("total", "encode", "prefill", "decode", "masks")
    print(f"  {'seconds, median':<16}" + "".join(f"{name:>8}" for name in columns) + f"{'tokens/s':>10}")
    for side, measured in rows.items():
        medians = {name: statistics.median(row[name] for row in measured) for name in measured[0]}
        parts = "".join(f"{medians[name]:8.2f}" for name in columns)
        print(f"  {side:<16}{parts}{medians['tokens'] / medians['total']:10.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", choices=("demo", "160m"), action="append", help="default: both")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="a torch device")
    parser.add_argument("--json", type=Path, default=Path(".bench/protocol.json"), help="raw figures")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    lengths = ", ".join(f"{form} {tokens}" for form, tokens in TYPICAL.items())
    print(f"{sum(map(len, chest_protocol().calls))} requests; typical lengths (160m): {lengths}")
    raw: dict[str, dict[str, list[dict[str, float]]]] = {}
    for preset in arguments.preset or ["demo", "160m"]:
        raw[preset] = measure(preset, arguments.repeats, arguments.device)
        report(preset, raw[preset])
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
