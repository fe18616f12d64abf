"""What a micro-batch amounts to, and which way its gradients go."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.families.medversa_networks.network import splice
from model.reading import Modality, Task
from model.training.losses import (
    IGNORED,
    detection_loss,
    language_loss,
    segmentation_loss,
)
from model.training.runs.learner import Learner
from model.training.runs.microbatch import TERMS, MicroBatch
from model.training.runs.parts import part_of, taught_by
from model.training.runs.trainer import take_step
from model.vision_modules.registry import segmentation_2d, segmentation_3d
from tests import tiny_run
from tests.unit.model.runs.assembled import assembled

DETECTION = (Modality.CXR, Task.ANATOMY_DETECTION)
MASK = (Modality.CXR, Task.SEGMENTATION)
ORGAN = (Modality.CT, Task.SEGMENTATION)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """Weights without random dropping, so that the same batch gives the same loss twice."""
    tiny_run.write_weights(tmp_path / "start", replace(tiny_run.SIZES, lora_dropout=0.0))
    return tmp_path


def _terms(learner: Learner, batch: MicroBatch, *wanted: str) -> dict[str, Tensor]:
    return learner(batch, frozenset({"language", *wanted}))


def _states(learner: Learner, batch: MicroBatch) -> tuple[Tensor, list[Tensor]]:
    """States of a batch, and levels of volumes, by the network's own calls."""
    network, levels = learner.network, []
    if batch.kind[0] is Modality.CT:
        levels = network.visual_encoder_3d.encode(batch.pictures)
        tokens = network.llama_proj_3d(network.seen_3d(levels))
    else:
        tokens = network.llama_proj_2d(network.seen_2d(batch.pictures))
    is_image = batch.ids == tiny_run.WORDS.image
    embedded = splice(network.embed(batch.ids), is_image, [tokens[n] for n in batch.shown])
    return network.read(embedded, batch.mask)[0], levels


@pytest.mark.parametrize("kind", [DETECTION, MASK, ORGAN])
def test_terms_are_the_losses_times_their_counts(still: Path, kind: tuple[Modality, Task]) -> None:
    trainee, draw = assembled(tiny_run.plan(still, batch={"size": 3, "micro": 3}))
    learner = trainee.learner.eval()
    batch = next(b for step in range(20) if (b := draw(kind, step)[0]).counts[1:].sum())
    told = _terms(learner, batch, "detection" if kind == DETECTION else "segmentation")
    tokens, boxes, masks = batch.counts.tolist()
    states, levels = _states(learner, batch)
    network = learner.network
    expected = language_loss(network.logits(states), batch.labels)
    torch.testing.assert_close(told["language"] / tokens, expected)
    tags = {tag: batch.labels == token for token, tag in tiny_run.WORDS.tags.items()}
    if kind == DETECTION:
        expected = detection_loss(network.text_det(states[tags["<DET>"]]), batch.boxes)
        torch.testing.assert_close(told["detection"] / boxes, expected)
        return
    tag = "<3DSEG>" if kind == ORGAN else "<2DSEG>"
    module = segmentation_3d(network) if kind == ORGAN else segmentation_2d(network)
    if kind == MASK:
        levels = module.network.encode(batch.segmented)
    logits = module.logits(states[tags[tag]], [level[batch.masked] for level in levels])
    torch.testing.assert_close(told["segmentation"] / masks, segmentation_loss(logits, batch.masks))


@pytest.mark.parametrize(
    ("kind", "taught"),
    [
        ((Modality.CXR, Task.REPORT), {"language", "lora", "vision_2d", "projections"}),
        ((Modality.CXR, Task.COMPARISON), {"language", "lora", "vision_2d", "projections"}),
        (DETECTION, {"language", "lora", "vision_2d", "projections", "detection"}),
        (MASK, {"language", "lora", "segmentation_2d"}),
        (ORGAN, {"language", "lora", "segmentation_3d", "vision_3d"}),
    ],
)
def test_gradients_reach_what_a_task_uses(
    tmp_path: Path, kind: tuple[Modality, Task], taught: set[str]
) -> None:
    """Visual tokens of segmentation pass nothing back; volumes are seen through what masks them."""
    assert taught_by(kind) == taught
    trainee, draw = assembled(tiny_run.plan(tmp_path))
    batch = next(b for step in range(20) if (b := draw(kind, step)[0]).counts[-1] or "segm" not in kind[1])
    wanted = frozenset(t for t, n in zip(TERMS, batch.counts.tolist(), strict=True) if n)
    torch.stack([t for t in trainee.learner(batch, wanted).values()]).sum().backward()
    assert {part_of(name) for name, p in trainee.parameters.items() if p.grad is not None} == taught


def test_losses_of_tags_reach_the_language_model(still: Path) -> None:
    trainee, draw = assembled(tiny_run.plan(still))
    for kind, term in ((DETECTION, "detection"), (MASK, "segmentation"), (ORGAN, "segmentation")):
        batch = next(b for step in range(20) if (b := draw(kind, step)[0]).counts[TERMS.index(term)])
        trainee.optimizer.zero_grad()
        _terms(trainee.learner, batch, term)[term].backward()
        reached = [p.grad for name, p in trainee.parameters.items() if part_of(name) == "lora"]
        assert any(grad is not None and grad.abs().sum() > 0 for grad in reached), kind


def test_term_that_a_batch_lacks_is_nought_through_the_same_layers(still: Path) -> None:
    trainee, draw = assembled(tiny_run.plan(still, batch={"size": 1, "micro": 1}))
    for kind, term, part in (
        ((Modality.CXR, Task.REPORT), "detection", "detection"),
        (MASK, "segmentation", "segmentation_2d"),
        (ORGAN, "segmentation", "segmentation_3d"),
    ):
        batch = next(b for step in range(300) for b in draw(kind, step) if not b.counts[TERMS.index(term)])
        trainee.optimizer.zero_grad()
        told = _terms(trainee.learner, batch, term)[term]
        told.backward()
        assert told.item() == 0
        grads = [p.grad for name, p in trainee.parameters.items() if part_of(name) == part]
        assert any(g is not None for g in grads)
        assert all(g is None or not g.any() for g in grads)


@pytest.mark.parametrize("kind", [DETECTION, (Modality.CXR, Task.REPORT), ORGAN])
@pytest.mark.parametrize("recipe", ["paper", "released"])
def test_accumulated_gradients_are_those_of_a_larger_batch(
    still: Path, kind: tuple[Modality, Task], recipe: str
) -> None:
    if recipe == "released" and kind == ORGAN:
        pytest.skip("the released Dice is over all that goes through the network at once")
    said = {"recipe": recipe, "augmentation": "none", "descent": {"peak_rate": 1e-3, "clip": None}}
    once, draw = assembled(tiny_run.plan(still, batch={"size": 4, "micro": 4}, **said))
    often, _ = assembled(tiny_run.plan(still, batch={"size": 4, "micro": 1}, **said))
    (batch,) = draw(kind, 1)
    told = take_step(once, 0, [batch])
    parts = take_step(often, 0, [_row(batch, n) for n in range(4)])
    for name, value in told.items():
        assert parts[name] == pytest.approx(value, rel=1e-4), name
    for name, parameter in once.parameters.items():
        torch.testing.assert_close(often.parameters[name], parameter, atol=2e-5, rtol=1e-4, msg=name)


def _row(batch: MicroBatch, n: int) -> MicroBatch:
    """One example of a batch, as a micro-batch of its own, padding and all."""
    images = len(batch.shown) // len(batch.ids)
    pictures = batch.shown[n * images : (n + 1) * images]
    det, seg = (
        [int((batch.labels[:m] == token).sum()) for m in (n, n + 1) for token in tokens]
        for tokens in ([_id("<DET>")], [_id("<3DSEG>")])
    )
    return replace(
        batch,
        number=n,
        ids=batch.ids[n : n + 1],
        mask=batch.mask[n : n + 1],
        labels=batch.labels[n : n + 1],
        pictures=batch.pictures[pictures],
        shown=torch.arange(images),
        boxes=batch.boxes[slice(*det)],
        masked=torch.zeros(seg[1] - seg[0], dtype=torch.long),
        masks=batch.masks[slice(*seg)],
    )


def _id(tag: str) -> int:
    return next(token for token, text in tiny_run.WORDS.tags.items() if text == tag)


def test_second_encoder_of_the_second_generation_learns_from_open_questions(tmp_path: Path) -> None:
    tiny_run.write_weights(tmp_path / "start", tiny_run.SIZES_V1)
    trainee, draw = assembled(tiny_run.plan(tmp_path, train=["vision_2d", "projections"]))
    (batch, *_) = draw((Modality.CXR, Task.VQA), 0)
    assert batch.pictures.shape[-1] == 84
    assert (batch.ids == tiny_run.WORDS.image).sum() == len(batch.shown) * 16
    trainee.learner(batch, frozenset({"language"}))["language"].backward()
    reached = {name.split(".")[0] for name, p in trainee.parameters.items() if p.grad is not None}
    assert reached == {"visual_encoder_2d_vqa", "ln_vision_2d_vqa", "llama_proj_2d_vqa"}


def test_bfloat16_gives_nearly_the_same_loss(still: Path) -> None:
    for kind in (DETECTION, MASK, ORGAN):
        exact, draw = assembled(tiny_run.plan(still))
        rough, _ = assembled(tiny_run.plan(still, autocast=True))
        batch = draw(kind, 0)
        whole, half = (take_step(trainee, 0, batch) for trainee in (exact, rough))
        for name in whole:
            assert half[name] == pytest.approx(whole[name], rel=0.2, abs=0.05), (kind, name)
        assert all(p.dtype == torch.float32 for p in rough.parameters.values())


def test_overlaps_are_told_in_evaluation_only(still: Path) -> None:
    trainee, draw = assembled(tiny_run.plan(still))
    (batch, *_) = draw(DETECTION, 0)
    assert "iou" not in _terms(trainee.learner, batch, "detection")
    told = _terms(trainee.learner.eval(), batch, "detection")
    assert 0 <= told["iou"].item() <= len(batch.boxes)


def test_answer_alone_is_taught(tmp_path: Path) -> None:
    _, draw = assembled(tiny_run.plan(tmp_path))
    for batch in draw((Modality.CXR, Task.REPORT), 0):
        for ids, labels in zip(batch.ids, batch.labels, strict=True):
            taught = tiny_run.WORDS.decode(labels[labels != IGNORED].tolist())
            assert taught.endswith("###")
            assert "Human" not in taught
            assert tiny_run.WORDS.decode(ids.tolist()).endswith(f"###Assistant:{taught}")
