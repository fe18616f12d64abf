"""`medversa-node codes`: the table of concepts for a site's terminologist."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "tsv", "html"]),
    default="text",
    show_default=True,
    help="Columns for a terminal, a spreadsheet, or a page.",
)
@click.option(
    "--local", "only_local", is_flag=True, help="Only codes of our own scheme, which a site may map."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it there. Default: print it."
)
def codes(*, form: str, only_local: bool, out: Path | None) -> None:
    """Print every concept that results are coded in: scheme, value, meaning, source, and how it was verified.

    Labels of the model come first, then what reports are built of. A label that no table has gets a local
    code that follows from its words.
    """
    from structured_reports.terminology import Level, as_html, as_text, as_tsv, entries

    rows = [entry for entry in entries() if not only_local or entry.level is Level.LOCAL]
    text = {"text": as_text, "tsv": as_tsv, "html": as_html}[form](rows)
    if out is None:
        click.echo(text)
    else:
        out.write_text(text, encoding="utf-8")
