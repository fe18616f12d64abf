"""How fast a run learns at each step: up along a line, then down along a cosine."""

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates of a run; the published one is 1e-7 to 3e-4 in 3,000 steps, 3e-6 after 500,000."""

    steps: int
    peak: float
    start: float = 0.0
    """Rate of step 0, where there is a warm-up."""
    end: float = 0.0
    """What the cosine falls to; reached at `steps`, one step after the last."""
    warm_up: int = 0
    """Steps before the first at `peak`."""

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warm_up:
            return self.start + (self.peak - self.start) * step / self.warm_up
        fallen = min((step - self.warm_up) / max(self.steps - self.warm_up, 1), 1.0)
        return self.end + (self.peak - self.end) * 0.5 * (1 + cos(pi * fallen))
