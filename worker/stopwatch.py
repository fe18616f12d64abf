"""How long each hop of a study's walk took."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """Adds up seconds by hop; one for each run of a job."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def hop(self, name: str) -> Generator[None]:
        """Time the body as part of hop `name`, also when it fails."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    def __str__(self) -> str:
        return ", ".join(f"{field} {seconds}" for field, seconds in self.as_extra().items())

    def as_extra(self) -> dict[str, float]:
        """Return `{hop}_s` fields for a log record."""
        return {f"{name}_s": round(seconds, 3) for name, seconds in self.seconds.items()}
