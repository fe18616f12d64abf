"""A family that knows the truth: the reader must conclude exactly the truth, without a caveat."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from model.families.family import Generation, Sight
from model.gates import check_lungs, check_pixels
from model.prompts import phrase
from model.questions import Form
from model.reader import Reader
from model.reading import (
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    ChangeStatus,
    Conditions,
    Laterality,
    Modality,
    ModelIdentity,
    Presence,
    PriorImages,
    ReadingRequest,
)
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.truth import Box, ChestCase, ChestView
from model.training.telling import (
    FRONTAL_CHEST,
    changes_text,
    findings_text,
    impression_text,
    labels_text,
    visible_changes,
    visible_findings,
)
from model.vocabulary import DEMO
from model.volume import FrameKey, Orientation, PlanarImage, Volume
from model.wordings import WORDINGS
from tests.fakes import FakeSight
from worker.request import PROTOCOLS

CHEST_TASKS = PROTOCOLS[Modality.CXR]
SIZE = 112
MIRRORED = Orientation(columns_flipped=True)


def canonical(form: Form, names: Sequence[str] = (), priors: int = 0) -> str:
    return phrase(WORDINGS[Modality.CXR, form][0], names=names, priors=priors)


class TruthfulFamily:
    """Answers what the protocol asks of one phantom, from its truth."""

    identity = ModelIdentity("truth", "truth", "1", "0" * 64, demo_weights=True)
    conditions = Conditions()
    vocabulary = DEMO

    def __init__(self, case: ChestCase) -> None:
        self._answers = dict(self._of_view(case.current))
        change = changes_text(visible_changes(case))
        self._answers[canonical(Form.DIFFERENCE, priors=1)] = Generation(change, 0)

    def look(self, modality: Modality, images: Sequence[PlanarImage | Volume]) -> Sight:
        return FakeSight(tuple(images), lambda _, question: self._answers[question.text])

    def _of_view(self, view: ChestView) -> list[tuple[str, Generation]]:
        findings = visible_findings(view)
        present = {finding.label for finding in findings}
        boxes = {label: [f.box for f in findings if f.label == label][:3] for label in CHEST_FINDINGS}
        pairs = [
            *(
                (phrase(wording), Generation(FRONTAL_CHEST, 0))
                for wording in WORDINGS[Modality.CXR, Form.GATE]
            ),
            (canonical(Form.FINDINGS), Generation(findings_text(findings), 0)),
            (canonical(Form.IMPRESSION), Generation(impression_text(findings), 0)),
            (canonical(Form.LABELS), Generation(labels_text(findings), 0)),
            (canonical(Form.DETECTION, CHEST_FINDINGS), detected(boxes)),
            (
                canonical(Form.DETECTION, CHEST_STRUCTURES),
                detected({n: [view.boxes[n]] if n in view.boxes else [] for n in CHEST_STRUCTURES}),
            ),
        ]
        for label in CHEST_FINDINGS:
            answer = Generation("Yes.", 0.97) if label in present else Generation("No.", 0.03)
            pairs.append((canonical(Form.BINARY, (label,)), answer))
        for organ in CHEST_ORGANS:
            mask = (view.masks[organ][None],)
            text = f"The segmentation mask of {organ} is <2DSEG>."
            pairs.append((canonical(Form.SEGMENTATION, (organ,)), Generation(text, 0, masks=floats(mask))))
        return pairs


def floats(masks: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.float32], ...]:
    return tuple(mask.astype(np.float32) for mask in masks)


def detected(boxes: dict[str, list[Box]]) -> Generation:
    text = "".join(f"{n},{','.join(['<DET>'] * len(b)) or '<N/A>'}." for n, b in boxes.items())
    corners = [(y1 * SIZE, x1 * SIZE, y2 * SIZE, x2 * SIZE) for b in boxes.values() for x1, y1, x2, y2 in b]
    return Generation(text, 0, boxes=tuple(corners))


def request(case: ChestCase, orientation: Orientation) -> ReadingRequest:
    """The model sees the phantom as it is; `orientation` says how its stored pixels lay."""
    assert case.prior is not None
    current = PlanarImage(case.current.pixels, FrameKey("1.1"), orientation=orientation)
    prior = PriorImages((PlanarImage(case.prior.pixels, FrameKey("1.0")),), case.days_between)
    return ReadingRequest(Modality.CXR, (current,), CHEST_TASKS, (prior,))


@pytest.mark.parametrize("orientation", [Orientation(), MIRRORED], ids=["upright", "mirrored"])
@pytest.mark.parametrize("seed", range(8))
def test_reader_concludes_the_truth(seed: int, orientation: Orientation) -> None:
    case = make_chest_case(seed, size=SIZE, with_prior=True)
    truth = visible_findings(case.current)

    reading = Reader(TruthfulFamily(case)).read(request(case, orientation))

    assert (reading.abstention, reading.caveats) == (None, ())
    concluded = {(f.label, f.laterality) for f in reading.findings if f.presence is Presence.PRESENT}
    sided = {(f.label, f.laterality if f.label != CHEST_FINDINGS[4] else None) for f in truth}
    assert concluded == sided
    absent = {f.label for f in reading.findings if f.presence is Presence.ABSENT}
    assert absent == set(CHEST_FINDINGS) - {f.label for f in truth}
    (comparison,) = reading.comparisons
    told = {(c.label, c.status) for c in comparison.changes}
    expected = {(c.label, c.status) for c in visible_changes(case)}
    assert told == (expected or {("chest", ChangeStatus.UNCHANGED)})
    for mask in reading.masks:
        np.testing.assert_array_equal(orientation.apply(mask.voxels[0]), case.current.masks[mask.label])
    for box in reading.boxes:
        if box.label == "left lung":
            assert box.laterality is Laterality.LEFT


@pytest.mark.parametrize("seed", range(100, 106))
def test_true_lungs_are_plausible(seed: int) -> None:
    view = make_chest_case(seed, size=SIZE, with_prior=False).current
    check_pixels(Modality.CXR, [PlanarImage(view.pixels, FrameKey("1.1"))])
    check_lungs(view.masks)
