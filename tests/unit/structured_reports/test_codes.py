"""The table of codes is complete, well formed and free of known traps."""

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from model.reading import ChangeStatus, Laterality, Presence
from model.vocabulary import VOCABULARIES
from structured_reports import codes
from structured_reports.errors import CodingError
from tests.unit.structured_reports.published_names import CHEST_IMAGENOME_FINDINGS, CHEST_IMAGENOME_STRUCTURES
from tests.verhoeff import is_concept_identifier, is_verhoeff_valid

LABELS = sorted(
    {
        *(label for v in VOCABULARIES.values() for label in (*v.chest_findings, *v.skin_lesions)),
        *(label for v in VOCABULARIES.values() for label in (*v.chest_structures, *v.chest_organs)),
        *(label for v in VOCABULARIES.values() for label in v.abdominal_organs),
    }
)
ALL_CODES = sorted(
    {
        *(value for value in vars(codes).values() if isinstance(value, Code)),
        *(concept.code for concept in codes.CONCEPTS.values()),
        *(concept.site for concept in codes.CONCEPTS.values()),
        *codes.PRESENCES.values(),
        *codes.SIDES.values(),
        *codes.CHANGES.values(),
        *codes.MODALITIES.values(),
    },
    key=lambda code: (code.scheme_designator, code.value),
)
SNOMED = [code for code in ALL_CODES if code.scheme_designator == "SCT"]


@pytest.mark.parametrize(
    ("digits", "valid"), [("2363", True), ("2364", False), ("123451", True), ("123541", False)]
)
def test_verhoeff_check_of_published_examples(digits: str, valid: bool):
    assert is_verhoeff_valid(digits) is valid


@pytest.mark.parametrize("code", SNOMED, ids=lambda code: code.value)
def test_snomed_code_is_a_well_formed_concept_identifier(code: Code):
    assert is_concept_identifier(code.value)


def test_the_code_that_pydicom_wrongly_calls_cardiomegaly_is_not_used():
    assert "287272002" not in {code.value for code in ALL_CODES}


@pytest.mark.parametrize("label", LABELS)
def test_every_label_of_the_model_has_a_reviewed_code(label: str):
    concept = codes.concept_of(label, codes.CHEST)
    assert concept is codes.CONCEPTS[label]
    assert concept.category in {
        codes.ANATOMICAL_STRUCTURE,
        codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        codes.PHYSICAL_OBJECT,
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (codes.CONCEPTS["pleural effusion"].code, dictionary.SCT.PleuralEffusion),
        (codes.CONCEPTS["pneumothorax"].code, dictionary.SCT.Pneumothorax),
        (codes.CONCEPTS["heart"].code, dictionary.SCT.Heart),
        (codes.CONCEPTS["left lung"].code, dictionary.SCT.Lung),
        (codes.CONCEPTS["trachea"].code, dictionary.SCT.Trachea),
        (codes.CONCEPTS["aorta"].code, dictionary.SCT.Aorta),
        (codes.CONCEPTS["spine"].code, dictionary.SCT.Spine),
        (codes.CONCEPTS["liver"].code, dictionary.SCT.Liver),
        (codes.CONCEPTS["spleen"].code, dictionary.SCT.Spleen),
        (codes.CONCEPTS["kidneys"].code, dictionary.SCT.Kidney),
        (codes.CONCEPTS["pancreas"].code, dictionary.SCT.Pancreas),
        (codes.CONCEPTS["actinic keratosis"].code, dictionary.SCT.ActinicKeratosis),
        (codes.ANATOMICAL_STRUCTURE, dictionary.SCT.AnatomicalStructure),
        (codes.CERTAINTY, dictionary.DCM.CertaintyOfFinding),
        (codes.ARTIFICIAL_INTELLIGENCE, dictionary.DCM.ArtificialIntelligence),
        (codes.PROCESSING_EQUIPMENT, dictionary.DCM.ProcessingEquipment),
        (codes.COMPARISON_DONE, dictionary.DCM.ComparisonWithPriorStudyDone),
        (codes.PRIOR_REPORT, dictionary.DCM.PriorReportForCurrentPatient),
        (codes.PRESENCES[Presence.PRESENT], dictionary.cid240.Present),
        (codes.PRESENCES[Presence.ABSENT], dictionary.cid240.Absent),
        (codes.PRESENCES[Presence.UNDETERMINED], dictionary.cid240.Undetermined),
        (codes.SIDES[Laterality.BILATERAL], dictionary.cid244.Bilateral),
        (codes.YES, dictionary.SCT.Yes),
        (codes.NO, dictionary.SCT.No),
        (codes.SEVERITY, dictionary.SCT.Severity),
        (codes.VOLUME, dictionary.SCT.Volume),
        (codes.AREA, dictionary.SCT.Area),
    ],
)
def test_code_is_the_one_of_the_dicom_dictionary(code: Code, expected: Code):
    assert (code.value, code.scheme_designator) == (expected.value, expected.scheme_designator)


def test_every_modality_code_is_an_acquisition_modality_of_dicom():
    acquisition = {getattr(dictionary.cid29, name).value for name in dictionary.cid29.dir()}
    assert set(codes.MODALITIES) <= acquisition | {"OT"}


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (ChangeStatus.NEW, "7147002"),
        (ChangeStatus.INCREASED, "35105006"),
        (ChangeStatus.DECREASED, "1250004"),
        (ChangeStatus.UNCHANGED, "260388006"),
        (ChangeStatus.RESOLVED, "413322009"),
    ],
)
def test_change_is_coded_by_the_reviewed_table(status: ChangeStatus, value: str):
    assert codes.CHANGES[status].value == value


@pytest.mark.parametrize(
    ("label", "side"),
    [
        ("left lung", Laterality.LEFT),
        ("right lung", Laterality.RIGHT),
        ("kidneys", Laterality.BILATERAL),
        ("heart", None),
    ],
)
def test_a_label_that_names_a_side_carries_it(label: str, side: Laterality | None):
    assert codes.CONCEPTS[label].laterality == side


def test_a_label_without_reviewed_code_gets_a_stable_local_one():
    concept = codes.concept_of("mitral annular calcification", codes.CHEST)
    assert concept.code.scheme_designator == "99MEDVERSA"
    assert concept.code.meaning == "mitral annular calcification"
    assert len(concept.code.value) <= 16
    assert concept == codes.concept_of("mitral annular calcification", codes.CHEST)
    assert concept.code.value != codes.concept_of("azygos lobe", codes.CHEST).code.value


@pytest.mark.parametrize("code", ALL_CODES, ids=lambda code: code.value)
def test_code_fits_its_attributes(code: Code):
    assert len(code.value) <= 16
    assert 0 < len(code.meaning) <= 64


@pytest.mark.parametrize("label", ["x" * 65, "a\\b", "line\nbreak", "\u202eright lung", "é" * 200])
def test_a_label_that_no_code_meaning_can_hold_is_shortened_and_keeps_its_own_value(label: str):
    code = codes.concept_of(label, codes.CHEST).code
    assert 0 < len(code.meaning) <= 64
    assert code.meaning.isprintable()
    assert "\\" not in code.meaning
    assert code.value != codes.concept_of(f"{label}x", codes.CHEST).code.value


@pytest.mark.parametrize("label", ["", " ", "\n\t"])
def test_a_label_that_says_nothing_is_refused(label: str):
    with pytest.raises(CodingError):
        codes.concept_of(label, codes.CHEST)


@pytest.mark.parametrize("label", CHEST_IMAGENOME_STRUCTURES)
def test_every_published_structure_is_coded_as_anatomy_with_the_side_of_its_name(label: str):
    concept = codes.CONCEPTS[label]
    assert concept.category == codes.ANATOMICAL_STRUCTURE
    named = {"left": Laterality.LEFT, "right": Laterality.RIGHT}.get(label.split()[0])
    # The right atrium is named for the side of the heart, not of the patient.
    assert concept.laterality == (None if label == "right atrium" else named)


@pytest.mark.parametrize("label", CHEST_IMAGENOME_FINDINGS)
def test_every_published_finding_is_coded_as_such(label: str):
    concept = codes.CONCEPTS[label]
    assert concept.category == codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE
    assert concept.site in {c.code for c in codes.CONCEPTS.values() if c.kind != codes.FINDING_KIND}


@pytest.mark.parametrize(
    "concept", [c for c in codes.CONCEPTS.values() if c.verified_in.startswith("PS3.16")], ids=str
)
def test_a_code_said_to_be_of_ps316_is_in_its_context_group_with_that_meaning(concept: codes.Concept):
    number = concept.verified_in.removeprefix("PS3.16 CID ")
    group = getattr(dictionary, f"cid{number}")
    listed = [getattr(group, name) for name in group.dir()]
    (found,) = [code for code in listed if code == concept.code]
    assert found.meaning.lower() == concept.code.meaning.lower()


def test_what_is_not_verified_is_local_and_what_is_local_says_so():
    for concept in codes.CONCEPTS.values():
        is_local = concept.code.scheme_designator == codes.LOCAL_SCHEME
        assert (concept.verified_in == codes.LOCAL) is is_local
        assert is_local or concept.verified_in == "public value set" or concept.verified_in[:6] == "PS3.16"


def test_two_findings_never_share_a_code_since_it_tells_them_apart_from_study_to_study():
    findings = [c for c in codes.CONCEPTS.values() if c.category != codes.ANATOMICAL_STRUCTURE]
    assert len({concept.code for concept in findings}) == len(findings)


def test_two_structures_share_a_code_only_as_two_names_of_one():
    seen: dict[tuple[Code, Laterality | None], list[str]] = {}
    for label, concept in codes.CONCEPTS.items():
        if concept.category == codes.ANATOMICAL_STRUCTURE:
            seen.setdefault((concept.code, concept.laterality), []).append(label)
    shared = sorted(labels for labels in seen.values() if len(labels) > 1)
    assert shared == [["heart", "cardiac silhouette"], ["kidney", "kidneys"], ["svc", "superior vena cava"]]


@pytest.mark.parametrize(
    ("label", "given", "said"),
    [
        ("kidney", None, Laterality.BILATERAL),
        ("kidney", Laterality.BILATERAL, Laterality.BILATERAL),
        ("kidney", Laterality.LEFT, Laterality.LEFT),
        ("left lung", Laterality.RIGHT, Laterality.LEFT),
        ("pleural effusion", Laterality.RIGHT, Laterality.RIGHT),
        ("heart", None, None),
    ],
)
def test_a_side_in_the_label_counts_before_a_given_one(
    label: str, given: Laterality | None, said: Laterality | None
):
    assert codes.CONCEPTS[label].side(given) is said


def test_a_region_as_a_whole_is_no_structure_in_it():
    assert codes.concept_of("abdomen", codes.ABDOMEN).code == codes.OVERALL
    assert codes.concept_of("abdomen", codes.CHEST).code == codes.ABDOMEN


@pytest.mark.parametrize("digits", ["818981001", "36118008"])
def test_one_wrong_digit_fails_the_check(digits: str):
    assert is_verhoeff_valid(digits)
    for place in range(len(digits)):
        wrong = str((int(digits[place]) + 1) % 10)
        assert not is_verhoeff_valid(digits[:place] + wrong + digits[place + 1 :])
