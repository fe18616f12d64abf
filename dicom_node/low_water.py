"""Whether so little disk is left that nobody new should begin to send."""

import shutil
from pathlib import Path

FLOW = 1.125
"""Of the mark, what must be free until callers are let in again: else every file removed would let one in."""


class LowWater:
    """A mark of free space, and whether it was passed; 0 is a mark that never is."""

    def __init__(self, folder: Path, mark_bytes: int) -> None:
        self._folder = folder
        self._mark_bytes = mark_bytes
        self._is_passed = False

    def is_passed(self) -> bool:
        """Look at the disk again."""
        if self._mark_bytes:
            enough = self._mark_bytes * (FLOW if self._is_passed else 1.0)
            self._is_passed = shutil.disk_usage(self._folder).free < enough
        return self._is_passed
