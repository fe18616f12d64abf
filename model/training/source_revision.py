"""Which source a training run was made with."""

import subprocess
from pathlib import Path


def source_revision() -> str:
    """Name the source that a run was made with, `+` if it was changed since; `unknown` outside git."""
    try:
        revision = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision + ("+" if changed else "")


def _git(*words: str) -> str:
    said = subprocess.run(  # noqa: S603  # fixed words
        ["git", *words],  # noqa: S607  # whatever git the user has
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    return said.stdout.strip()
