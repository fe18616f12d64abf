"""A timeline as lines for a terminal, and as a page of its own."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:14px/1.4 sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}"
    ".s{text-align:right;font-variant-numeric:tabular-nums}.failure{background:#fde8e6}"
    ".note{color:#555}"
)
LONG_WAIT_S: Final = 5.0
"""Seconds without an entry that are marked."""


def lines_of(told: Mapping[str, Any]) -> Iterator[str]:
    """Say it in lines: where the study stands, each entry with the seconds since the last, each job."""
    study = told["study"]
    yield f"study {study['study_instance_uid']}: {_standing(study)}"
    for entry in told["entries"]:
        mark = "!" if entry["is_failure"] else " "
        detail = f" ({entry['detail']})" if entry["detail"] else ""
        after = f"+{entry['after_s']:.3f}"
        yield f"{mark} {entry['at']} {after:>12} s  {entry['kind']:<9} {entry['text']}{detail}"
    for job in told["jobs"]:
        yield f"job {job['job_id']} of revision {job['revision']}: {_standing(job)}"
        for each in job["objects"]:
            yield f"  {each['modality']:<4} {each['description']}  {each['sop_instance_uid']}"
            yield from (f"       {_sent(one)}" for one in each["destinations"])


def _standing(of: Mapping[str, Any]) -> str:
    """Say where a study or a job stands, why, and what to do about it."""
    words = [of["state"], of["why"], of.get("detail", "")]
    what_to_do = of["what_to_do"]
    told = ", ".join(filter(None, words))
    return told if what_to_do in ("", "nothing") else f"{told} -> {what_to_do}"


def _sent(one: Mapping[str, Any]) -> str:
    status = f" {one['status']}" if one["status"] else ""
    proof = f", {one['proof']}" if one["proof"] else ""
    return f"{one['name']}: {one['state']}{status}, attempts {one['attempts']}{proof}"


def page_of(told: Mapping[str, Any]) -> str:
    """Make one HTML page that needs nothing else; whatever others wrote is text in it."""
    study = told["study"]
    rows = "".join(_entry_row(entry) for entry in told["entries"])
    jobs = "".join(_job(job) for job in told["jobs"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Timeline</title><style>{_STYLE}</style>'
        f"<h1>Study {escape(study['study_instance_uid'])}</h1><p>{escape(_standing(study))}</p>"
        f"<table><tr><th>time<th>seconds since<th>kind<th>what</tr>{rows}</table>{jobs}</html>\n"
    )


def _entry_row(entry: Mapping[str, Any]) -> str:
    kind = "failure" if entry["is_failure"] else entry["kind"]
    wait = f"{entry['after_s']:.3f}"
    wait = f"<strong>{wait}</strong>" if entry["after_s"] >= LONG_WAIT_S else wait
    detail = f"<br><small>{escape(entry['detail'])}</small>" if entry["detail"] else ""
    return (
        f'<tr class="{escape(kind)}"><td>{escape(entry["at"])}<td class="s">{wait}'
        f"<td>{escape(entry['kind'])}<td>{escape(entry['text'])}{detail}</tr>"
    )


def _job(job: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each['modality'])}<td>{escape(each['description'])}"
        f"<td>{escape(each['sop_instance_uid'])}<td>{_lines(map(_sent, each['destinations']))}</tr>"
        for each in job["objects"]
    )
    return f"<h2>Job {job['job_id']}</h2><p>{escape(_standing(job))}</p><table>{rows}</table>"


def _lines(texts: Iterable[str]) -> str:
    return "<br>".join(map(escape, texts))
