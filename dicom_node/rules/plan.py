"""Pure rule: what is done with a study, by the first of the configured rules that fits it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dicom_node.rules.settings import TEXTS, Rule
from dicom_node.rules.traits import Traits, traits_of_stored
from dicom_node.settings import NodeSettings
from dicom_node.study import Instance, Reason

FORBIDS = "!"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule, tried on one study."""

    name: str
    holds: bool
    why: str
    """What was found and what was wanted, in words."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule, tried on one study."""

    rule: Rule
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    @property
    def why(self) -> str:
        """Say what decides: the conditions that fail, or all that hold."""
        decisive = [c.why for c in self.conditions if c.holds is self.holds]
        return "; ".join(decisive) or "it has no conditions"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with one study, and why."""

    trials: tuple[Trial, ...]
    """Every rule in its order, up to the one that fits."""
    rule: Rule | None
    """The one that fits; None if there are no rules, or none fits."""

    @property
    def reason(self) -> Reason | None:
        """Why the study is not read; None if it is."""
        if self.rule is None:
            return Reason.NO_RULE if self.trials else None
        return None if self.rule.read else Reason.RULED_OUT

    @property
    def why(self) -> str:
        """Say which rule decides and why, or why none does."""
        if self.rule is not None:
            return f"rule {self.rule.name}: {self.trials[-1].why}"
        return "; ".join(f"not {trial.rule.name}: {trial.why}" for trial in self.trials)


def plan_for(traits: Traits, rules: Sequence[Rule]) -> Plan:
    """Try the rules in their order; the first that fits decides. Without rules everything is read."""
    trials: list[Trial] = []
    for rule in rules:
        trials.append(Trial(rule, tuple(_tried(rule, traits))))
        if trials[-1].holds:
            return Plan(tuple(trials), rule)
    return Plan(tuple(trials), None)


def plan_of(instances: Sequence[Instance], rules: Sequence[Rule]) -> Plan:
    """Plan for a study in the store; its headers are read only where there are rules."""
    return plan_for(traits_of_stored(instances), rules) if rules else Plan((), None)


def _tried(rule: Rule, traits: Traits) -> Iterator[Condition]:
    for name in TEXTS:
        patterns: tuple[str, ...] = getattr(rule, name)
        if patterns:
            yield _text(name, traits.texts[name], patterns)
    if rule.age_from_years is not None or rule.age_below_years is not None:
        yield _between("age in years", traits.age_years, rule.age_from_years, rule.age_below_years)
    if rule.images_at_least is not None or rule.images_at_most is not None:
        most = None if rule.images_at_most is None else rule.images_at_most + 1
        yield _between("images", traits.image_count, rule.images_at_least, most)


def _text(name: str, found: tuple[str, ...], patterns: tuple[str, ...]) -> Condition:
    forbidden = [pattern.removeprefix(FORBIDS) for pattern in patterns if pattern.startswith(FORBIDS)]
    wanted = [pattern for pattern in patterns if not pattern.startswith(FORBIDS)]
    label, shown = name.replace("_", " "), ", ".join(found) or "unknown"
    if hit := _first_fit(found, forbidden):
        return Condition(name, False, f"{label} {hit[0]} is ruled out by {FORBIDS}{hit[1]}")
    if hit := _first_fit(found, wanted):
        return Condition(name, True, f"{label} {hit[0]} fits {hit[1]}")
    if wanted:
        return Condition(name, False, f"{label} is {shown}, not {' or '.join(wanted)}")
    return Condition(name, True, f"{label} {shown} is not ruled out")


def _first_fit(found: Sequence[str], patterns: Sequence[str]) -> tuple[str, str] | None:
    """Return the first value that fits, with the pattern that it fits."""
    fits = ((v, p) for v in found for p in patterns if fnmatchcase(v.casefold(), p.casefold()))
    return next(fits, None)


def _between(name: str, found: float | None, lowest: float | None, below: float | None) -> Condition:
    """Compare with a range; the number itself is not told, since an age may say who it is."""
    bounds = [("from", lowest), ("below", below)]
    wanted = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    if found is None:
        return Condition(name, False, f"{name} unknown, wanted {wanted}")
    holds = (lowest is None or found >= lowest) and (below is None or found < below)
    return Condition(name, holds, f"{name} {'is' if holds else 'is not'} {wanted}")


def settings_under(rule: Rule | None, settings: NodeSettings) -> NodeSettings:
    """Return the settings with which a study is read and delivered by a rule: its priors, where it goes."""
    if rule is None:
        return settings
    limit = settings.priors.limit if rule.priors is None else rule.priors
    chosen = tuple(
        each.model_copy(update={"profile": rule.profiles.get(each.name, each.profile)})
        for each in settings.destinations
        if rule.destinations is None or each.name in rule.destinations
    )
    priors = settings.priors.model_copy(update={"limit": limit})
    return settings.model_copy(update={"priors": priors, "destinations": chosen})
