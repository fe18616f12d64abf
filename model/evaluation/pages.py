"""Writes the tables of an evaluation as pages: `results.md` and `results.html`, which need nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from model.evaluation.tables import Table

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 0 0 2em; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 1.15em; padding: .4em 0; }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
thead th { border-bottom: 2px solid #888; }
figure { margin: 0 0 2em; } figcaption { font-weight: 600; } img { max-width: 100%; }
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a page shows."""

    file: str
    """From the page, with `/`."""
    caption: str


def write_pages(
    title: str, facts: Sequence[str], tables: Sequence[Table], out: Path, pictures: Sequence[Picture] = ()
) -> None:
    """Write both pages: facts, tables, pictures."""
    told = "\n".join(f"- {fact}" for fact in facts)
    seen = [f"![{picture.caption}]({picture.file})\n" for picture in pictures]
    parts = [f"# {title}\n", f"{told}\n", *(table.markdown() for table in tables), *seen]
    (out / "results.md").write_text("\n".join(parts), encoding="utf-8")
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    body = f"<h1>{escape(title)}</h1>\n<ul>{items}</ul>\n" + "".join(table.html() for table in tables)
    body += "".join(
        f'<figure><img src="{escape(p.file)}" alt=""><figcaption>{escape(p.caption)}</figcaption></figure>\n'
        for p in pictures
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'
    (out / "results.html").write_text(page, encoding="utf-8")
