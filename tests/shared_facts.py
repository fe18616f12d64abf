"""Where public facts and data lie that are not part of the repository; tests without them are skipped."""

import os
from pathlib import Path

_NAMED = os.environ.get("MEDVERSA_TEST_DATA")
SHARED = Path(_NAMED).parent if _NAMED else Path(__file__).resolve().parents[2] / "shared"
"""Beside the checkout, unless the environment names a data folder inside another."""
