"""`[[rules]]`: which studies are read, how, and where the results go."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from dicom_node.result_classes import SENT
from dicom_node.section import Name, Section

TaskName = Literal[
    "report", "classification", "anatomy-detection", "pathology-detection", "segmentation", "comparison"
]
"""What a study can be read for; each kind of study has those that its images allow."""


def _listed(value: object) -> object:
    """Let one text stand for a list of one."""
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)]
"""Texts of which one must fit, whatever the case; `*` and `?` stand for others, a leading `!` forbids."""

TEXTS: Final[dict[str, str]] = {
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "view": "ViewPosition",
    "station": "StationName",
    "manufacturer": "Manufacturer",
    "institution": "InstitutionName",
    "department": "InstitutionalDepartmentName",
    "description": "StudyDescription",
    "sex": "PatientSex",
    "procedure_code": "ProcedureCodeSequence",
    "calling_ae": "SourceApplicationEntityTitle",
}
"""Conditions on texts, and the element that each is first of all about."""


class Rule(Section):
    """One `[[rules]]`: what must hold of a study, and what is done with it then."""

    name: Name
    """How `plan`, `timeline` and reasons call it; unique."""

    modality: Patterns = ()
    """Modality of a series, e.g. ["CR", "DX"]."""
    body_part: Patterns = ()
    """Body Part Examined."""
    view: Patterns = ()
    """View Position, e.g. "PA"."""
    station: Patterns = ()
    """Station Name, e.g. "ED*"."""
    manufacturer: Patterns = ()
    """Manufacturer."""
    institution: Patterns = ()
    """Institution Name."""
    department: Patterns = ()
    """Institutional Department Name."""
    description: Patterns = ()
    """Study, Series or Requested Procedure Description, or Protocol Name, e.g. "*chest*"."""
    sex: Patterns = ()
    """Patient's Sex: M, F or O."""
    procedure_code: Patterns = ()
    """A procedure code, as its value or as `value^scheme`, e.g. "36643-5^LN"."""
    calling_ae: Patterns = ()
    """AE title that has sent it."""
    age_from_years: Annotated[float, Field(ge=0)] | None = None
    """The youngest patient, in years; one without an age does not fit."""
    age_below_years: Annotated[float, Field(gt=0)] | None = None
    """Patients must be younger, in years."""
    images_at_least: Annotated[int, Field(ge=1)] | None = None
    """Fewest images of classes that are read."""
    images_at_most: Annotated[int, Field(ge=1)] | None = None
    """Most images of classes that are read."""

    read: bool = True
    """Whether the study is read; else it is not applicable, by this rule. Default true."""
    tasks: Annotated[tuple[TaskName, ...], BeforeValidator(_listed)] = ()
    """What it is read for. Default: everything that its kind of images allows."""
    priors: Annotated[int, Field(ge=0, le=10)] | None = None
    """Most priors given to the model. Default: priors.limit."""
    priority: Literal["stat", "high", "routine", "low"] | None = None
    """Its place in the queue. Default: what the order says, else routine."""
    destinations: tuple[str, ...] | None = None
    """Names of the destinations that get results; none of them: results stay here. Default: all."""
    profiles: dict[str, str] = Field(default_factory=dict)
    """Other profiles than the destinations' own, by the destination's name. Default: none."""


def check_rules(rules: Sequence[Rule], destinations: Sequence[str]) -> None:
    """Check rules against each other and against the destinations there are.

    Raises:
        ValueError: two have one name, or one names a destination or a profile that does not exist.
    """
    if len({rule.name for rule in rules}) < len(rules):
        raise ValueError("two rules have the same name")
    for rule in rules:
        for name in (*(rule.destinations or ()), *rule.profiles):
            if name not in destinations:
                there_are = ", ".join(destinations) or "none"
                raise ValueError(f"rule {rule.name} names destination {name}; there are {there_are}")
        for profile in rule.profiles.values():
            if profile not in SENT:
                raise ValueError(f"rule {rule.name} names profile {profile}; there are {', '.join(SENT)}")
