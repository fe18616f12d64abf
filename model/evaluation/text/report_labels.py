"""F1 of the findings that reports state, read by our own tables of words; needs no weights."""

from collections.abc import Sequence

import numpy as np

from model.evaluation.text.label_counts import f1_of_sums, label_counts
from model.evaluation.text.metric import PerExample, check_pairs, only_references
from model.reading import Presence
from model.report_language.statements import statements_in
from model.report_language.terms import every_label


class ReportLabelF1:
    """A finding is there if a clause states it; what is denied, doubted or unmentioned is not.

    The macro F1 is of the findings that predictions or references state.
    """

    def score(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> PerExample:
        """Count hits, false alarms and misses of each finding."""
        check_pairs(predictions, references)
        stated = [
            np.array([_stated(text) for text in texts])
            for texts in (predictions, only_references(references))
        ]
        of_sums = f1_of_sums(range(len(every_label())), never_seen=np.nan)
        return PerExample(("finding micro F1", "finding macro F1"), label_counts(*stated), of_sums)


def _stated(text: str) -> list[bool]:
    present = {s.label for s in statements_in(text, every_label()) if s.presence is Presence.PRESENT}
    return [label in present for label in sorted(every_label())]
