"""The table of codes is complete, well formed and free of known traps."""

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from model.reading import (
    ABDOMINAL_ORGANS,
    CHEST_FINDINGS,
    CHEST_ORGANS,
    CHEST_STRUCTURES,
    SKIN_LESIONS,
    ChangeStatus,
    Laterality,
    Presence,
)
from structured_reports import codes
from structured_reports.errors import CodingError

LABELS = sorted({*CHEST_FINDINGS, *CHEST_STRUCTURES, *CHEST_ORGANS, *ABDOMINAL_ORGANS, *SKIN_LESIONS})
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

# The dihedral group D5 of Verhoeff (1969), Error Detecting Decimal Codes.
_PRODUCT = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTATION = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def is_verhoeff_valid(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_PRODUCT[check][int(_PERMUTATION[place % 8][int(digit)])])
    return check == 0


@pytest.mark.parametrize(
    ("digits", "valid"), [("2363", True), ("2364", False), ("123451", True), ("123541", False)]
)
def test_verhoeff_check_of_published_examples(digits: str, valid: bool):
    assert is_verhoeff_valid(digits) is valid


@pytest.mark.parametrize("code", SNOMED, ids=lambda code: code.value)
def test_snomed_code_is_a_well_formed_concept_identifier(code: Code):
    assert 6 <= len(code.value) <= 18
    assert is_verhoeff_valid(code.value)
    assert code.value[-3:-1] in {"00", "10"}, "the partition is not that of a concept"


def test_the_code_that_pydicom_wrongly_calls_cardiomegaly_is_not_used():
    assert "287272002" not in {code.value for code in ALL_CODES}


@pytest.mark.parametrize("label", LABELS)
def test_every_label_of_the_model_has_a_reviewed_code(label: str):
    concept = codes.concept_of(label, codes.CHEST)
    assert concept is codes.CONCEPTS[label]
    assert concept.category in {codes.ANATOMICAL_STRUCTURE, codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE}


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
    concept = codes.concept_of("enlarged hilum", codes.CHEST)
    assert concept.code.scheme_designator == "99MEDVERSA"
    assert concept.code.meaning == "enlarged hilum"
    assert len(concept.code.value) <= 16
    assert concept == codes.concept_of("enlarged hilum", codes.CHEST)
    assert concept.code.value != codes.concept_of("goitre", codes.CHEST).code.value


@pytest.mark.parametrize("code", ALL_CODES, ids=lambda code: code.value)
def test_code_fits_its_attributes(code: Code):
    assert len(code.value) <= 16
    assert 0 < len(code.meaning) <= 64


@pytest.mark.parametrize("label", ["", "x" * 65, "a\\b", "line\nbreak"])
def test_a_label_that_no_code_meaning_can_hold_is_refused(label: str):
    with pytest.raises(CodingError):
        codes.concept_of(label, codes.CHEST)
