"""A change and the findings are believed together or not at all."""

import pytest

from model.reading import Change, ChangeStatus, Finding, Laterality, Presence
from structured_reports.weighing import Weight, finding_of, presence_now, weigh

L, R, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
THERE, NOT, UNSURE = Presence.PRESENT, Presence.ABSENT, Presence.UNDETERMINED
Fact = tuple[Presence, Laterality | None]


def change(status: ChangeStatus, side: Laterality | None = None) -> Change:
    return Change("pleural effusion", status, side)


def findings(*facts: Fact) -> list[Finding]:
    return [Finding("pleural effusion", presence, laterality=side) for presence, side in facts]


@pytest.mark.parametrize(
    ("status", "side", "facts", "expected"),
    [
        (ChangeStatus.NEW, L, [(THERE, L)], Weight.AGREED),
        (ChangeStatus.NEW, L, [], Weight.AGREED),
        (ChangeStatus.NEW, L, [(UNSURE, None)], Weight.AGREED),
        (ChangeStatus.INCREASED, BOTH, [(THERE, L)], Weight.AGREED),
        (ChangeStatus.INCREASED, R, [(THERE, L)], Weight.DISPUTED),
        (ChangeStatus.INCREASED, None, [(NOT, None)], Weight.DISPUTED),
        (ChangeStatus.DECREASED, L, [(NOT, L), (THERE, R)], Weight.DISPUTED),
        (ChangeStatus.UNCHANGED, None, [(NOT, None)], Weight.SILENT),
        (ChangeStatus.UNCHANGED, None, [(THERE, L), (NOT, R)], Weight.AGREED),
        (ChangeStatus.RESOLVED, L, [(NOT, None)], Weight.AGREED),
        (ChangeStatus.RESOLVED, L, [(THERE, R)], Weight.AGREED),
        (ChangeStatus.RESOLVED, L, [(THERE, L)], Weight.REFUSED),
        (ChangeStatus.RESOLVED, L, [(THERE, None)], Weight.REFUSED),
        (ChangeStatus.RESOLVED, BOTH, [(THERE, L), (NOT, R)], Weight.REFUSED),
        (ChangeStatus.RESOLVED, None, [(UNSURE, None)], Weight.REFUSED),
    ],
)
def test_weight(status: ChangeStatus, side: Laterality | None, facts: list[Fact], expected: Weight):
    assert weigh(change(status, side), findings(*facts)) is expected


def test_other_findings_do_not_matter():
    other = [Finding("consolidation", NOT)]
    assert weigh(change(ChangeStatus.NEW), other) is Weight.AGREED


@pytest.mark.parametrize(
    ("side", "facts", "expected"),
    [
        (None, [(THERE, L)], 0),
        (L, [(THERE, L)], 0),
        (L, [(THERE, R), (THERE, L)], 1),
        (L, [(THERE, None)], None),
        (BOTH, [(THERE, L), (THERE, R)], None),
        (None, [(THERE, L), (THERE, R)], None),
        (None, [(NOT, None)], None),
    ],
)
def test_the_finding_that_a_change_is_about(side: Laterality | None, facts: list[Fact], expected: int | None):
    given = findings(*facts)
    found = finding_of(change(ChangeStatus.INCREASED, side), given)
    assert found is (None if expected is None else given[expected])


@pytest.mark.parametrize(
    ("status", "facts", "expected"),
    [
        (ChangeStatus.RESOLVED, [(NOT, None)], NOT),
        (ChangeStatus.NEW, [(THERE, None)], THERE),
        (ChangeStatus.NEW, [], THERE),
        (ChangeStatus.NEW, [(NOT, None)], UNSURE),
        (ChangeStatus.NEW, [(UNSURE, None)], UNSURE),
    ],
)
def test_presence_now(status: ChangeStatus, facts: list[Fact], expected: Presence):
    assert presence_now(change(status), findings(*facts)) is expected
