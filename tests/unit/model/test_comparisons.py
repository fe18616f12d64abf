"""Any two radiographs make a comparison whose truth follows from what each shows."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.reading import ChangeStatus, Laterality
from model.training.comparisons import changes_between, strangers, told_extents
from model.training.phantoms.chest import make_chest_case
from model.training.phantoms.truth import FindingTruth
from model.training.telling import changes_text, visible_changes, visible_findings


def _finding(
    label: str = "pneumothorax",
    side: Laterality | None = Laterality.LEFT,
    zone: str | None = None,
    extent: float = 0.5,
) -> FindingTruth:
    return FindingTruth(label, side, zone, extent, (0.1, 0.1, 0.2, 0.2), 3.0)


def _text(current: Sequence[FindingTruth], prior: Sequence[FindingTruth]) -> str:
    changes = changes_between(current, prior)
    assert changes is not None
    return changes_text(changes)


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (0.8, 0.5, "The left pneumothorax has increased."),
        (0.5, 0.8, "The left pneumothorax has decreased."),
        (0.5, 0.52, "The left pneumothorax is unchanged."),
        (0.5, None, "The left pneumothorax is new."),
        (None, 0.5, "The left pneumothorax has resolved."),
    ],
)
def test_extents_decide_what_became_of_a_finding(now: float | None, before: float | None, told: str) -> None:
    current, prior = ([_finding(extent=e)] if e else [] for e in (now, before))
    assert _text(current, prior) == told


def test_change_that_phantoms_never_show_is_not_taught() -> None:
    assert changes_between([_finding(extent=0.5)], [_finding(extent=0.4)]) is None


def test_finding_elsewhere_is_another_finding() -> None:
    right, left = (_finding("consolidation", side, "mid") for side in (Laterality.RIGHT, Laterality.LEFT))
    assert (
        _text([right], [left])
        == "The right lung consolidation is new. The left lung consolidation has resolved."
    )
    upper, lower = (_finding("lung nodule", Laterality.RIGHT, zone) for zone in ("upper", "lower"))
    assert _text([upper], [lower]) == (
        "The right lower lung nodule has resolved. The right upper lung nodule is new."
    )


def test_extents_follow_the_sentences_that_tell_them() -> None:
    right = _finding("pleural effusion", Laterality.RIGHT, extent=0.8)
    now, before = [right], [_finding("pleural effusion", Laterality.RIGHT, extent=0.5), _finding(extent=0.3)]
    changes = changes_between(now, before)
    assert changes is not None
    assert (
        changes_text(changes)
        == "The right pleural effusion has increased. The left pneumothorax has resolved."
    )
    assert told_extents(changes, now, before) == ((0.8, 0.5), (0.0, 0.3))


def test_one_sentence_about_two_nodules_has_the_extent_of_the_larger() -> None:
    zones = ("upper", "lower")
    now = [_finding("lung nodule", Laterality.LEFT, z, e) for z, e in zip(zones, (0.3, 0.9), strict=True)]
    changes = changes_between(now, [])
    assert changes is not None
    assert changes_text(changes) == "The left lung nodule is new."
    assert told_extents(changes, now, []) == ((0.9, 0.0),)


def test_two_clear_chests_show_no_change() -> None:
    assert _text([], []) == "No significant change."


def test_rule_agrees_with_the_changes_of_one_person() -> None:
    compared = 0
    for seed in range(40):
        case = make_chest_case(seed, size=96, with_prior=True)
        assert case.prior is not None
        current, prior = visible_findings(case.current), visible_findings(case.prior)
        places = [{(f.label, f.laterality, f.zone) for f in view} for view in (current, prior)]
        labels = [{(f.label, f.laterality) for f in view} for view in (current, prior)]
        if len(places[0] | places[1]) != len(labels[0] | labels[1]):
            continue  # a middle that moved into the next zone is another place to the rule
        assert changes_text(changes_between(current, prior) or []) == changes_text(visible_changes(case))
        compared += 1
    assert compared > 20


def test_strangers_are_two_images_and_often_share_a_finding() -> None:
    shown = [[_finding(extent=0.4)], [_finding(extent=0.8)], [], [], [], [], [], []]
    pairs = list(strangers(shown, np.random.default_rng(0), 200))
    assert len(pairs) == 200
    assert all(current != prior for current, prior, _ in pairs)
    told = {change.status for _, _, changes in pairs for change in changes}
    assert {ChangeStatus.INCREASED, ChangeStatus.DECREASED, ChangeStatus.NEW, ChangeStatus.RESOLVED} == told
