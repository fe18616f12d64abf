"""Replaces identity by keyed digests: the same key gives the same pseudonym, without it none leads back."""

import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydicom.uid import UID

from worker.errors import AskedAmissError

KEY_BYTES = 32
LEAST_SHIFT_DAYS = 366
SHIFTS = 3650
"""Dates move back by one of so many numbers of days, from `LEAST_SHIFT_DAYS`."""

_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_DATE_TIME = re.compile(r"(\d{8})((?:\d\d){0,3}(?:\.\d{1,6})?)(?:[+-]\d{4})?")


def read_key(path: Path, out: Path) -> bytes:
    """Read the key, or make one where there is none, readable by its owner only.

    Raises:
        AskedAmissError: it lies in the output, which is given away; it cannot be read; or it is too short.
    """
    if path.resolve().is_relative_to(out.resolve()):
        raise AskedAmissError("the key file lies in the output folder: keep it where the output never goes")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as exc:
        raise AskedAmissError(f"the key file cannot be used ({exc.strerror})") from exc
    if len(key) < KEY_BYTES:
        raise AskedAmissError(f"the key file holds less than {KEY_BYTES} bytes: it can be guessed")
    return key


def is_registered(uid: str) -> bool:
    """Say whether a UID is the standard's own (PS3.6 A): a class, a syntax, a known frame of reference."""
    return bool(UID(uid).type)


@dataclass(frozen=True, slots=True)
class Patient:
    """Whom a data set is of, as far as pseudonyms need it."""

    key: str = field(repr=False)
    """Issuer and Patient ID; the Study Instance UID where a data set names no patient."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """All replacements that one key makes."""

    key: bytes = field(repr=False)

    def uid(self, uid: str) -> str:
        """Replace a UID by one under 2.25 (PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16])}"

    def subject(self, patient: Patient) -> str:
        return f"P{self._digest('patient', patient.key).hex()[:12]}"

    def name(self, uid: str) -> str:
        """Shorten a UID to what names a folder, a file or a study in the output."""
        return self._digest("name", uid).hex()[:16]

    def split(self, patient: Patient) -> Literal["train", "validate", "test"]:
        """Give eight patients of ten to training, one each to validation and test."""
        share = int.from_bytes(self._digest("split", patient.key)[:4]) % 10
        return "validate" if share == 0 else "test" if share == 1 else "train"

    def shift_days(self, patient: Patient) -> int:
        """By how many days all dates of a patient move: one number, so that intervals survive."""
        return -LEAST_SHIFT_DAYS - int.from_bytes(self._digest("dates", patient.key)[:4]) % SHIFTS

    def shifted_date(self, value: str, patient: Patient) -> str | None:
        """Shift a DA; None for what is no date."""
        match = _DATE.fullmatch(value.strip())
        if match is None:
            return None
        try:
            moved = date(*map(int, match.groups())) + timedelta(days=self.shift_days(patient))
        except (ValueError, OverflowError):
            return None
        return f"{moved:%Y%m%d}" if moved.year >= 1000 else None

    def shifted_date_time(self, value: str, patient: Patient) -> str | None:
        """Shift a DT by whole days; None for what names no day. Its offset from UTC is dropped."""
        match = _DATE_TIME.fullmatch(value.strip())
        moved = self.shifted_date(match[1], patient) if match else None
        return f"{moved}{match[2]}" if match and moved else None

    def _digest(self, use: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{use}\0{text}".encode(), "sha256")
