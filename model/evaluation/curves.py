"""Draws curves of yes/no answers as SVG: ROC, precision and recall, reliability."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from model.evaluation.classification import BINS, Answers, bin_of, pooled

Points = Sequence[tuple[float, float]]

CURVES = ("roc", "precision_recall", "reliability")

_SIDE, _LEFT, _TOP, _LEGEND = 320, 56, 34, 210
# Okabe and Ito's colours, told apart by most eyes.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def roc_points(answers: Answers) -> Points:
    """False against true positive rate at every threshold; nothing where one kind of truth is missing."""
    hits, wrong = _running(answers)
    if not hits[-1] or not wrong[-1]:
        return []
    return list(zip((wrong / wrong[-1]).tolist(), (hits / hits[-1]).tolist(), strict=True))


def precision_recall_points(answers: Answers) -> Points:
    """Recall against precision at every threshold; nothing where no answer is true."""
    hits, wrong = _running(answers)
    if not hits[-1]:
        return []
    recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + wrong[1:])
    return list(zip(recall.tolist(), precision.tolist(), strict=True))


def reliability_points(answers: Answers, bins: int = BINS) -> Points:
    """Mean probability against the share that is true, for each bin that holds any answer."""
    held = bin_of(answers.probabilities, bins)
    return [
        (float(answers.probabilities[held == n].mean()), float(answers.truths[held == n].mean()))
        for n in np.unique(held)
    ]


def curves_of(labels: Mapping[str, Answers]) -> dict[str, str]:
    """One SVG document for each of `CURVES`; reliability is of all labels together."""
    kinds = (
        ("ROC", ("false positive rate", "true positive rate"), roc_points, True),
        ("Precision and recall", ("recall", "precision"), precision_recall_points, False),
    )
    drawn = [
        plot(title, axes, {name: points(a) for name, a in labels.items()}, diagonal=diagonal)
        for title, axes, points, diagonal in kinds
    ]
    pooled_points = reliability_points(pooled(list(labels.values())))
    axes = ("probability of yes", "share that is true")
    drawn.append(plot("Reliability", axes, {"all findings": pooled_points}, diagonal=True, dots=True))
    return dict(zip(CURVES, drawn, strict=True))


def plot(
    title: str, axes: tuple[str, str], lines: Mapping[str, Points], *, diagonal: bool, dots: bool = False
) -> str:
    """Draw lines in the unit square as an SVG document; `dots` marks their points."""
    body = [_frame(title, axes)]
    if diagonal:
        body.append(_polyline([(0, 0), (1, 1)], "#999", dash="4 4"))
    for n, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[n % len(_COLOURS)]
        body.append(_polyline(points, colour))
        if dots:
            body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in _placed(points)]
        y = _TOP + 14 + 20 * n
        body.append(f'<rect x="{_LEFT + _SIDE + 14}" y="{y - 9}" width="14" height="4" fill="{colour}"/>')
        body.append(f'<text x="{_LEFT + _SIDE + 34}" y="{y - 3}">{escape(name)}</text>')
    width, height = _LEFT + _SIDE + _LEGEND, _TOP + _SIDE + 52
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(body)}</svg>\n'
    )


def _running(answers: Answers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """True and false answers told, from none to all, as the threshold falls past each probability."""
    order = np.argsort(-answers.probabilities, kind="stable")
    last = np.flatnonzero(np.diff(answers.probabilities[order], append=-np.inf))
    told = [np.cumsum(which[order])[last] for which in (answers.truths, ~answers.truths)]
    hits, wrong = (np.concatenate([[0.0], counts.astype(np.float64)]) for counts in told)
    return hits, wrong


def _frame(title: str, axes: tuple[str, str]) -> str:
    right, bottom = _LEFT + _SIDE, _TOP + _SIDE
    middle = _TOP + _SIDE / 2
    parts = [
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="600">{escape(title)}</text>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#444"/>',
        f'<text x="{_LEFT + _SIDE / 2}" y="{bottom + 40}" text-anchor="middle">{escape(axes[0])}</text>',
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">'
        f"{escape(axes[1])}</text>",
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        (x, y), told = _placed([(tick, tick)])[0], f"{tick:g}"
        parts += [
            f'<path d="M{x} {bottom}V{_TOP}M{_LEFT} {y}H{right}" stroke="#eee"/>',
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{told}</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{told}</text>',
        ]
    return "".join(parts)


def _placed(points: Points) -> Points:
    return [(_LEFT + x * _SIDE, _TOP + (1 - y) * _SIDE) for x, y in points]


def _polyline(points: Points, colour: str, dash: str = "none") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in _placed(points))
    stroke = f'stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dash}"'
    return f'<polyline points="{path}" fill="none" {stroke}/>'
