"""Which rule decides about a study, why, and what `plan` says of it."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from dicom_node.database.engine import open_database
from dicom_node.errors import SettingsError
from dicom_node.intake import Intake
from dicom_node.rules.command import plan
from dicom_node.rules.plan import Plan, plan_for, plan_of, settings_under
from dicom_node.rules.settings import TEXTS, Rule
from dicom_node.rules.traits import age_years, header_of, traits_of
from dicom_node.settings import NodeSettings, load_settings
from dicom_node.storage import InstanceStore
from dicom_node.study import Reason
from tests.unit.dicom_node.arrivals import Sender, dataset, write
from tests.unit.dicom_node.test_header import nested


def item(**elements: str) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def header(**elements: object) -> Dataset:
    """A chest radiograph of a woman of 54, made in the emergency department and sent by ED1."""
    values: dict[str, object] = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "StationName": "ED-03",
        "Manufacturer": "ACME",
        "InstitutionName": "General",
        "InstitutionalDepartmentName": "Emergency",
        "StudyDescription": "Thorax p.a.",
        "SeriesDescription": "PA upright",
        "PatientSex": "F",
        "PatientAge": "054Y",
        "ProcedureCodeSequence": [item(CodeValue="36643-5", CodingSchemeDesignator="LN")],
    }
    ds = dataset(**(values | elements))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.SourceApplicationEntityTitle = "ED1"
    return ds


def planned(*rules: Mapping[str, object], **elements: object) -> Plan:
    named = [Rule.model_validate({"name": f"rule {n}", **rule}) for n, rule in enumerate(rules, start=1)]
    return plan_for(traits_of([header(**elements)], 1), named)


@pytest.mark.parametrize(
    "element",
    [
        struct.pack("<HH2sH", 0x0010, 0x1010, b"FD", 3) + b"54Y",
        struct.pack("<HH2sHLHHL", 0x40, 0x0275, b"SQ", 0, 8 + 5000 * 20, 0xFFFE, 0xE000, 5000 * 20)
        + nested(5000),
    ],
    ids=["length of no number", "nested in a known length"],
)
def test_header_with_a_value_that_cannot_be_decoded_is_passed_over(tmp_path: Path, element: bytes) -> None:
    path = write(tmp_path, PixelData=None, Rows=None, Columns=None, BitsAllocated=None)
    path.write_bytes(path.read_bytes() + element)

    assert list(header_of(path)) == []


FITTING: dict[str, object] = {
    "modality": ["CR", "DX"],
    "body_part": "chest",
    "view": "PA",
    "station": "ED-*",
    "manufacturer": "acme",
    "institution": "Gen?ral",
    "department": "emergency",
    "description": "*THORAX*",
    "sex": "F",
    "procedure_code": "36643-5^LN",
    "calling_ae": "ED1",
}


def test_every_condition_on_texts_has_an_example() -> None:
    assert FITTING.keys() == TEXTS.keys()


@pytest.mark.parametrize("name", FITTING)
def test_condition_that_fits_and_one_that_does_not(name: str) -> None:
    assert planned({name: FITTING[name]}).rule is not None

    other = planned({name: "something else"})
    assert other.reason is Reason.NO_RULE
    assert "not something else" in other.why


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"age_from_years": 54}, True),
        ({"age_from_years": 55}, False),
        ({"age_below_years": 54}, False),
        ({"age_below_years": 54.5}, True),
        ({"images_at_least": 1}, True),
        ({"images_at_least": 2}, False),
        ({"images_at_most": 1}, True),
        ({"modality": "DX", "station": "ICU*"}, False),
        ({"procedure_code": "36643-5"}, True),
        ({"procedure_code": "36643-5^99LOCAL"}, False),
        ({"description": "PA upright"}, True),
        ({"description": ["*thorax*", "!*upright*"]}, False),
        ({"view": "!LL"}, True),
        ({"view": "!PA"}, False),
        ({}, True),
    ],
)
def test_conditions_all_have_to_hold(rule: dict[str, object], fits: bool) -> None:
    assert (planned(rule).rule is not None) is fits


def test_patient_without_an_age_fits_no_range_of_ages() -> None:
    unknown = planned({"age_from_years": 0}, PatientAge=None, PatientBirthDate=None)

    assert unknown.rule is None
    assert "age in years unknown" in unknown.why


def test_first_rule_that_fits_decides_and_the_later_ones_are_not_tried() -> None:
    plan = planned({"modality": "CT"}, {"modality": "DX"}, {})

    assert plan.rule is not None
    assert plan.rule.name == "rule 2"
    assert [trial.holds for trial in plan.trials] == [False, True]
    assert plan.why == "rule rule 2: modality DX fits DX"


def test_study_that_fits_no_rule_is_told_by_each_rule_why() -> None:
    plan = planned({"modality": "CT"}, {"modality": "DX", "station": "ICU*"})

    assert plan.reason is Reason.NO_RULE
    assert plan.why == "not rule 1: modality is DX, not CT; not rule 2: station is ED-03, not ICU*"


def test_rule_can_say_that_a_study_is_not_read() -> None:
    assert planned({"modality": "DX", "read": False}).reason is Reason.RULED_OUT


def test_without_rules_everything_is_read() -> None:
    assert planned().reason is None
    assert plan_of([], ()).reason is None


def test_age_itself_is_told_nowhere() -> None:
    assert "54" not in planned({"age_from_years": 18}).why


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        # PS3.5 6.2, value representation AS: days, weeks, months, years.
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "052W"}, 364 / 365.25),
        ({"PatientAge": "010D"}, 10 / 365.25),
        ({"PatientAge": "100Y"}, 100),
        ({"PatientBirthDate": "20000101", "StudyDate": "20200101"}, 7305 / 365.25),
        ({"PatientBirthDate": "20300101", "StudyDate": "20200101"}, None),
        ({"PatientAge": "", "PatientBirthDate": "", "StudyDate": "20200101"}, None),
    ],
)
def test_age_in_years(elements: dict[str, str], years: float | None) -> None:
    found = age_years(item(**elements))

    assert found == (None if years is None else pytest.approx(years))


def test_order_of_the_study_is_looked_into() -> None:
    order = item(RequestedProcedureDescription="Chest for line position")
    order.RequestedProcedureCodeSequence = [item(CodeValue="RPID2503", CodingSchemeDesignator="RADLEX")]
    elements = {"RequestAttributesSequence": [order]}

    assert planned({"description": "*line position"}, **elements).rule is not None
    assert planned({"procedure_code": "RPID2503"}, **elements).rule is not None


def test_rule_sets_priors_and_destinations_and_their_profiles() -> None:
    pacs = {"ae_title": "PACS", "port": 104}
    settings = NodeSettings.model_validate(
        {
            "destinations": [{"name": "PACS", **pacs}, {"name": "viewer", **pacs}],
            "rules": [{"name": "r", "priors": 0, "destinations": ["viewer"], "profiles": {"viewer": "ohif"}}],
        }
    )

    under = settings_under(settings.rules[0], settings)

    assert under.priors.limit == 0
    assert [(each.name, each.profile) for each in under.destinations] == [("viewer", "ohif")]
    assert settings_under(None, settings) is settings


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([{"name": "a"}, {"name": "a"}], "two rules have the same name"),
        ([{"name": "a", "destinations": ["PACS"]}], "rule a names destination PACS; there are none"),
        ([{"name": "a", "tasks": ["poetry"]}], "tasks"),
        ([{"name": "a", "modallity": "CT"}], "modallity"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(
    tmp_path: Path, rules: list[dict[str, object]], told: str
) -> None:
    lines = [f"{key} = {json.dumps(value)}" for rule in rules for key, value in [("", ""), *rule.items()]]
    path = tmp_path / "node.toml"
    path.write_text("\n".join(lines).replace(' = ""', "[[rules]]"))

    with pytest.raises(SettingsError, match=told):
        load_settings(path, {})


# The command


RULES = """
[[rules]]
name = "never from CT2"
calling_ae = "CT2"
read = false
[[rules]]
name = "chest CT"
modality = "CT"
body_part = "CHEST"
tasks = "segmentation"
priority = "stat"
priors = 1
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata_dir = "data"\n{RULES}')
    return path


def plan_command(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(plan, ["--config", str(config), *arguments])
    return result.exit_code, result.output or str(result.exception)


def test_plan_of_files_that_were_not_sent_yet(config: Path, tmp_path: Path) -> None:
    file = write(tmp_path)

    status, output = plan_command(config, str(file))
    from_ct2, refusal = plan_command(config, str(file), "--calling", "CT2")

    assert status == 0
    assert "rule never from CT2: does not fit\n  no   calling ae is unknown, not CT2" in output
    assert "rule chest CT: fits\n  yes  modality CT fits CT\n  yes  body part CHEST fits CHEST" in output
    assert "tasks: segmentation" in output
    assert "priority: stat" in output
    assert "priors: at most 1" in output
    assert from_ct2 == 3
    assert "-> not read: a rule of the configuration says that it is not read" in refusal
    assert "Marker" not in output


def test_plan_of_a_stored_study(config: Path) -> None:
    settings = load_settings(config, {})
    settings.node.data_dir.mkdir()
    database = open_database(settings.node.database_url)
    sender = Sender(Intake(InstanceStore(settings.node.data_dir, database), database), "CT2")
    sender.send(dataset(BodyPartExamined="HEAD", StudyInstanceUID="1.2.9"))
    sender.send(dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", StudyInstanceUID="1.2.10"))
    database.close()

    values = json.loads(plan_command(config, "1.2.9", "--json")[1])
    report = json.loads(plan_command(config, "1.2.10", "--json")[1])
    unknown = plan_command(config, "1.2.11")

    assert values["seen"]["calling_ae"] == ["CT2"]
    assert values["rule"] == "never from CT2"
    assert (values["is_read"], values["reason"]) == (False, "RULED_OUT")
    assert report["reason"] == "NO_IMAGES"
    assert unknown[0] == 1
    assert "not known here" in unknown[1]


def test_what_is_no_image_is_not_counted(config: Path, tmp_path: Path) -> None:
    report = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11",
        "Modality": "SR",
        "SeriesInstanceUID": "1.2.3.100.2",
    }
    settings = load_settings(config, {})
    settings.node.data_dir.mkdir()
    database = open_database(settings.node.database_url)
    sender = Sender(Intake(InstanceStore(settings.node.data_dir, database), database))
    sender.send(dataset())
    sender.send(dataset(**report))
    database.close()
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder)
    write(folder, **report)

    stored = json.loads(plan_command(config, "1.2.3.100", "--json")[1])
    files = json.loads(plan_command(config, str(folder), "--json")[1])

    assert sorted(stored["seen"]["modality"]) == ["CT", "SR"]
    assert (stored["images"], files["images"]) == (1, 1)


def test_plan_without_rules_says_so(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\ndata_dir = "data"\n')

    status, output = plan_command(config, str(write(tmp_path)))

    assert status == 0
    assert "no rules are configured" in output
    assert plan_command(config, "nonsense")[0] == 2
