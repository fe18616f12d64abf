"""Judgements as a page for people and as values for programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from structured_reports.checks.check import Judgement, Outcome
from structured_reports.checks.registry import NOT_FROM_OBJECTS
from structured_reports.conformance import Verdict

_MARKS = {Outcome.KEPT: "✓", Outcome.BROKEN: "✗", Outcome.NOT_JUDGED: "–"}
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}td,th{padding:.25rem .6rem;text-align:left;
border-bottom:1px solid #ddd;vertical-align:top}td:first-child{white-space:nowrap}.kept{color:#18753c}
.broken{color:#b3001b;font-weight:600}.not{color:#666}h2{font-size:1.05rem;margin:1.6rem 0 .2rem;
overflow-wrap:anywhere}p{margin:.3rem 0}
@media(prefers-color-scheme:dark){body{background:#16161a;color:#e6e6e6}td,th{border-color:#333}
.kept{color:#6fd08c}.broken{color:#ff7b89}.not{color:#999}}
"""


@dataclass(frozen=True, slots=True)
class JudgedObject:
    """One object with everything that was said of it."""

    sop_instance_uid: str
    modality: str
    description: str
    judgements: Sequence[Judgement]
    verdict: Verdict | None
    """Of a validator, where the object is a file."""

    @property
    def is_sound(self) -> bool:
        broken = any(each.outcome is Outcome.BROKEN for each in self.judgements)
        return not broken and (self.verdict is None or self.verdict.is_valid)

    def values(self) -> dict[str, Any]:
        """As values that JSON holds."""
        return {
            "sop_instance_uid": self.sop_instance_uid,
            "modality": self.modality,
            "series_description": self.description,
            "sound": self.is_sound,
            "rules": [
                {
                    "rule": each.check.identifier,
                    "title": each.check.title,
                    "outcome": each.outcome.value,
                    "faults": list(each.faults),
                }
                for each in self.judgements
            ],
            "validator": None
            if self.verdict is None
            else {"name": self.verdict.validator, "errors": list(self.verdict.errors)},
        }


def text_lines(judged: Iterable[JudgedObject]) -> Iterable[str]:
    """Say of each object what is broken, and of a sound one that it is."""
    for each in judged:
        mark = "ok    " if each.is_sound else "BROKEN"
        yield f"{mark} {each.modality} {each.sop_instance_uid} {each.description}"
        for judgement in each.judgements:
            if judgement.outcome is not Outcome.KEPT:
                what = f"{judgement.check.identifier} {judgement.check.title}: {'; '.join(judgement.faults)}"
                yield f"    {judgement.outcome.value}: {what}"
        for error in each.verdict.errors if each.verdict else ():
            yield f"    validator: {error}"


def html_page(judged: Sequence[JudgedObject], skipped: Mapping[str, int]) -> str:
    """Write one page that needs nothing from elsewhere."""
    sound = sum(each.is_sound for each in judged)
    left = "".join(f"<p>{count} files left out: {escape(why)}</p>" for why, count in skipped.items())
    others = "".join(
        f"<tr><td>{name}</td><td>{escape(why)}</td></tr>" for name, why in NOT_FROM_OBJECTS.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Conformance</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{sound} of {len(judged)} objects keep every rule</h1>{left}"
        f"{''.join(_section(each) for each in judged)}"
        f"<h2>Not judged from objects</h2><table>{others}</table></html>"
    )


def _section(each: JudgedObject) -> str:
    rows = [
        f"<tr><td class={judgement.outcome.value.split()[0]}>{_MARKS[judgement.outcome]} "
        f"{judgement.check.identifier}</td><td>{escape(judgement.check.title)}</td>"
        f"<td>{escape('; '.join(judgement.faults))}</td></tr>"
        for judgement in each.judgements
    ]
    if each.verdict is not None:
        outcome = "kept" if each.verdict.is_valid else "broken"
        mark = _MARKS[Outcome(outcome)]
        said = escape("; ".join(each.verdict.errors))
        rows.append(
            f"<tr><td class={outcome}>{mark} {escape(each.verdict.validator)}</td>"
            f"<td>validator</td><td>{said}</td></tr>"
        )
    title = f"{each.modality} {each.description}"
    return f"<h2>{escape(title)}</h2><p>{escape(each.sop_instance_uid)}</p><table>{''.join(rows)}</table>"
