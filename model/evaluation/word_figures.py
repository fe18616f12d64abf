"""Figures of what is told in words and can be read back: comparisons, answers to open questions."""

from collections.abc import Iterator, Sequence

from model.evaluation.change import STATUSES, Compared
from model.evaluation.figures import Figure, Told, mean_figure
from model.evaluation.marks import ChangeMark, OpenMark
from model.reading import Task


def change_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Of true changes, those that are told so, in all and by kind; of told ones, those that are true."""
    read = [
        (one.study, Compared(frozenset(one.mark.told), frozenset(one.mark.true), one.mark.readable))
        for one in told
        if isinstance(one.mark, ChangeMark)
    ]
    right = [(key, status, float(is_right)) for key, c in read for status, is_right in c.right()]
    true = [(key, float(statement in c.true)) for key, c in read for statement in sorted(c.told)]
    without = [(key, float(c.says_nothing_changed)) for key, c in read if not c.true]
    by_status = [(s, [(key, value) for key, status, value in right if status == s]) for s in STATUSES]
    for name, of, values in (
        ("statement accuracy", "changes", [(key, value) for key, _, value in right]),
        *(("statement accuracy", status, values) for status, values in by_status),
        ("statement precision", "changes", true),
        ("nothing told where nothing is there", "comparisons", without),
    ):
        if values:
            yield mean_figure(Task.COMPARISON, name, of, values)


def open_figures(told: Sequence[Told]) -> Iterator[Figure]:
    """Accuracy of closed and open questions, by their kind too, and exact answers and recall of words."""
    marks = [(one.study, one.mark) for one in told if isinstance(one.mark, OpenMark)]
    groups = {
        "all questions": marks,
        "closed questions": [(key, mark) for key, mark in marks if mark.closed],
        "open questions": [(key, mark) for key, mark in marks if not mark.closed],
    }
    for of, some in groups.items():
        if some:
            yield mean_figure(Task.VQA, "accuracy", of, [(key, float(m.right)) for key, m in some])
            yield mean_figure(Task.VQA, "exact", of, [(key, float(m.exact)) for key, m in some])
            yield mean_figure(Task.VQA, "token recall", of, [(key, m.recall) for key, m in some])
    for kind in dict.fromkeys(mark.asked for _, mark in marks):
        values = [(key, float(mark.right)) for key, mark in marks if mark.asked == kind]
        yield mean_figure(Task.VQA, "accuracy", f"{kind} questions", values)
