"""Ages that outlive birth dates; above 89 years an age is rare enough to name somebody, and is capped."""

import re
from datetime import date

from pydicom.dataset import Dataset

from model.imaging.elements import text

OLDEST_YEARS = 90
"""All older ones are written as this age (45 CFR 164.514(b)(2)(i)(C))."""

_AGE = re.compile(r"(\d{3})([DWMY])")
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_YEARS_OF = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def capped_age(age: str) -> str | None:
    """Return an AS with the oldest made alike; None for what is no age."""
    years = age_years(age)
    if years is None:
        return None
    return f"{OLDEST_YEARS:03d}Y" if years >= OLDEST_YEARS else age.strip()


def age_years(age: str) -> float | None:
    """Say an AS in years; None for what is no age."""
    match = _AGE.fullmatch(age.strip())
    return int(match[1]) * _YEARS_OF[match[2]] if match else None


def age_at(ds: Dataset) -> str | None:
    """Work the age at the study out from Birth Date and Study Date; None if they do not tell."""
    born, studied = _date(text(ds, "PatientBirthDate")), _date(text(ds, "StudyDate"))
    if born is None or studied is None or studied < born:
        return None
    years = studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))
    if years >= 2:
        return f"{min(years, OLDEST_YEARS):03d}Y"
    months = 12 * (studied.year - born.year) + studied.month - born.month - (studied.day < born.day)
    return f"{months:03d}M"


def _date(da: str) -> date | None:
    match = _DATE.fullmatch(da)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
