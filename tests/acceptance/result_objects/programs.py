"""Programs by others that judge a file, and what they say of it."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.sr.codedict import codes

PIXELMED = Path("/usr/share/java/pixelmed.jar")
_PIXELMED_COMMAND = (
    "java",
    # The rules are larger than the limits of Java 17 for XPath; a short run needs no second compiler.
    *(f"-Djdk.xml.xpath{what}Limit=0" for what in ("TotalOp", "ExprOp", "ExprGrp")),
    *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(PIXELMED)),
    "com.pixelmed.validate.DicomSRValidator",
)
_UNKNOWN_CODE = re.compile(r"Code \((\w+),(\w+),.*\) not found in context group (\d+)")
NEWER_THAN_PIXELMED = {
    '(122405,DCM,"Algorithm Manufacturer"): Content Item not in template': (
        "row of TID 4019 that PixelMed's tables of 2022 lack"
    ),
}
"""What Debian's PixelMed says of content that is younger than its tables."""


def program(name: str) -> str:
    """Find a program on the path or beside this interpreter, or skip the test and say which is missing."""
    path = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed (run `make validators`)")
    return found


def run(*command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
    )


def pixelmed(*paths: Path) -> list[list[str]]:
    """Ask PixelMed's DicomSRValidator of each file; return its errors and warnings.

    Left out is what `NEWER_THAN_PIXELMED` lists, and codes that a context group has gained since, which
    pydicom's newer edition of PS3.16 knows in it.
    """
    program("java")
    if not PIXELMED.exists():
        pytest.skip("PixelMed is not installed (run `make validators`)")
    with ThreadPoolExecutor() as pool:
        ran = pool.map(lambda path: run(*_PIXELMED_COMMAND, path, timeout_s=280), paths)
    said = [each.stdout + each.stderr for each in ran]
    for text in said:
        assert "IOD validation complete" in text, text
    return [[line for line in text.splitlines() if _is_fault(line)] for text in said]


def _is_fault(line: str) -> bool:
    if not line.startswith(("Error", "Warning")) or any(
        line.endswith(known) for known in NEWER_THAN_PIXELMED
    ):
        return False
    unknown = _UNKNOWN_CODE.search(line)
    return unknown is None or not _is_in_group(*unknown.groups())


def _is_in_group(value: str, scheme: str, group: str) -> bool:
    members = getattr(codes, f"cid{group}")
    return any(
        (getattr(members, name).value, getattr(members, name).scheme_designator) == (value, scheme)
        for name in members.dir()
    )
