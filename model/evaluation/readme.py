"""Puts a table into a text between marks, so that the figures of a document are made by a command."""

import re
from pathlib import Path

from model.errors import EvaluationError


def put_between_marks(file: Path, name: str, content: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->`; all else stays as it is.

    Raises:
        EvaluationError: the file has not exactly one such pair of marks.
    """
    text = file.read_text(encoding="utf-8")
    marks = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    if len(marks.findall(text)) != 1:
        raise EvaluationError(f"{file.name} needs one pair of marks <!-- {name} --> and <!-- /{name} -->")
    file.write_text(marks.sub(lambda m: f"{m[1]}{content}{m[2]}", text), encoding="utf-8")
