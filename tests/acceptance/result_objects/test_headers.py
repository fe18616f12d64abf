"""Checks 26 to 31: every header that hospitals send gives valid objects, and nothing private goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from model.reading import BoundingBox
from structured_reports.conformance import validate_file
from structured_reports.errors import CoordinatesError
from structured_reports.geometry import rectangle
from structured_reports.profiles import Profile
from structured_reports.registry import write_bundles
from tests.acceptance.result_objects.objects import every_result, received, with_pixels, write
from tests.acceptance.result_objects.programs import program
from tests.unit.structured_reports.readings import RUN, chest_reading, header, key, reread, sources

TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
)
CYRILLIC = "Рентген грудной клетки"


def results_on(ds: Dataset) -> list[Dataset]:
    """Write every object of every profile on one radiograph."""
    bundles = write_bundles(chest_reading(ds), sources(ds), RUN, (Profile.FULL, Profile.LEGACY_SC))
    return list({str(each.SOPInstanceUID): each for bundle in bundles.values() for each in bundle}.values())


def test_check_26_everything_is_in_unicode():
    assert {ds.SpecificCharacterSet for ds in every_result()} == {"ISO_IR 192"}


def test_check_26_a_code_inside_a_cyrillic_source_can_be_read(tmp_path: Path):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "X1", "99LOCAL", CYRILLIC
    source = received(header(SpecificCharacterSet="ISO_IR 144", ProcedureCodeSequence=[code]), tmp_path)
    meanings = [
        str(ds.ProcedureCodeSequence[0].CodeMeaning)
        for ds in (reread(each, tmp_path) for each in results_on(source))
        if "ProcedureCodeSequence" in ds
    ]
    assert len(meanings) >= 4
    assert set(meanings) == {CYRILLIC}


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        # PS3.5 H.3.1, I.2 and J.3; a Latin-1 name; and none.
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Buc^Jérôme"),
        (None, "Doe^Jane"),
    ],
    ids=["Japanese", "Korean", "Chinese", "Latin-1", "none"],
)
def test_check_27_a_name_in_any_character_set_is_that_of_the_source(
    character_set: str | list[str] | None, name: str, tmp_path: Path
):
    source = received(header(SpecificCharacterSet=character_set, PatientName=name), tmp_path)
    assert str(source.PatientName) == name
    assert {str(reread(ds, tmp_path).PatientName) for ds in results_on(source)} == {name}


@pytest.mark.parametrize(
    "missing", [*((each,) for each in TYPE_2), TYPE_2], ids=lambda names: "+".join(names[:2])
)
def test_check_28_what_the_source_lacks_of_type_2_costs_no_object(missing: Sequence[str], tmp_path: Path):
    program("dciodvfy")
    results = results_on(with_pixels(header(**dict.fromkeys(missing))))
    assert sorted(ds.Modality for ds in results) == ["KO", "OT", "PR", "SEG", "SR", "SR"]
    for ds in results:
        assert all(keyword in ds for keyword in TYPE_2)
        assert validate_file(write(ds, tmp_path)).errors == ()


def test_check_29_illegal_values_stop_nothing_and_the_sex_stays_as_it_was():
    with config.disable_value_validation():
        source = header(PatientSex="U", PatientBirthDate="00000000", StudyTime="9:30")
    results = results_on(with_pixels(source))
    assert len(results) == 6
    assert {ds.PatientSex for ds in results} == {"U"}


def test_check_30_nothing_private_no_comments_and_no_operator_go_on():
    source = header(PatientComments="likes tea", OperatorsName="Op^Erator")
    source.private_block(0x0009, "ACME", create=True).add_new(0x01, "LO", "secret")
    elements = [element for ds in results_on(with_pixels(source)) for element in ds.iterall()]
    assert not [element for element in elements if element.tag.is_private]
    assert not [element for element in elements if element.keyword == "PatientComments"]
    assert not [element for element in elements if "Op^Erator" in str(element.value)]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((float("nan"), 1.0), (9.0, 9.0)),
        ((1.0, 1.0), (9.0, float("inf"))),
        ((9.0, 9.0), (1.0, 1.0)),
        ((100.0, 100.0), (120.0, 120.0)),
        ((5.0, 5.0), (5.5, 9.0)),
    ],
    ids=["not a number", "infinite", "inverted", "outside", "thinner than a pixel"],
)
def test_check_31_a_box_that_marks_nothing_is_refused(low: tuple[float, float], high: tuple[float, float]):
    ds = header()
    with pytest.raises(CoordinatesError):
        rectangle(BoundingBox("heart", key(ds), low, high), ds)


def test_check_31_a_box_over_the_edge_is_cut_to_the_image():
    ds = header()
    corners = rectangle(BoundingBox("heart", key(ds), (-5.0, 10.0), (70.0, 60.0)), ds)
    assert corners.min(axis=0).tolist() == [10.0, 0.0]
    assert corners.max(axis=0).tolist() == [float(ds.Columns), float(ds.Rows)]
