"""IU X-ray in both layouts: the XML of Open-i and the tables on Kaggle."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.errors import DatasetError
from model.training.datasets.iu_xray import IU_XRAY_READER
from tests.unit.model.datasets.refused import refusals

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{n}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION">Positive TB test</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation>{images}</eCitation>
"""
FINDINGS = "Heart size is normal.\n  No XXXX effusion &amp; no <i>pneumothorax</i>."


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def _report(
    source: Path, n: int, *, images: int = 2, findings: str = FINDINGS, impression: str = "No disease."
) -> None:
    names = [f"CXR{n}_1_IM-0001-{view}001" for view in range(3, 3 + images)]
    for name in names:
        _picture(source / "NLMCXR_png" / f"{name}.png")
    parents = "".join(f'<parentImage id="{name}"><figureId>F1</figureId></parentImage>' for name in names)
    folder = source / "ecgen-radiology"
    folder.mkdir(exist_ok=True)
    text = XML.format(n=n, findings=findings, impression=impression, images=parents)
    (folder / f"{n}.xml").write_text(text)


def _tables(source: Path) -> Path:
    (source / "indiana_reports.csv").write_text(
        "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
        '1,normal,normal,Xray,Cough,None.,"The lungs\nare clear, XXXX.",Normal chest.\n'
        "2,normal,normal,Xray,Cough,,,Normal chest.\n"
        "3,normal,normal,Xray,Cough,,Clear.,Normal.\n"
    )
    (source / "indiana_projections.csv").write_text(
        "uid,filename,projection\n"
        "1,1_IM-0001-3001.dcm.png,Lateral\n1,1_IM-0001-4001.dcm.png,Frontal\n"
        "2,2_IM-0652-1001.dcm.png,Frontal\n2,2_IM-0652-2001.dcm.png,Lateral\n"
        "3,3_IM-1384-1001.dcm.png,Frontal\n3,3_IM-1384-1002.dcm.png,Frontal\n"
    )
    for name in ("1_IM-0001-3001", "1_IM-0001-4001", "2_IM-0652-1001", "2_IM-0652-2001", "3_IM-1384-1001"):
        _picture(source / "images/images_normalized" / f"{name}.dcm.png")
    return source


def test_a_report_of_open_i_becomes_a_record(tmp_path: Path) -> None:
    _report(tmp_path, 1)
    assert IU_XRAY_READER.check(tmp_path) == []
    (record,) = IU_XRAY_READER.records(tmp_path)
    assert record.findings == "Heart size is normal. No XXXX effusion & no pneumothorax."
    assert (record.indication, record.comparison, record.impression) == (
        "Positive TB test",
        "None.",
        "No disease.",
    )
    assert [(image.path, image.view) for image in record.images] == [
        ("NLMCXR_png/CXR1_1_IM-0001-3001.png", None),
        ("NLMCXR_png/CXR1_1_IM-0001-4001.png", None),
    ]
    assert (record.split, record.subject) == ("test", "1")


def test_a_row_of_the_tables_becomes_a_record_with_the_frontal_view_first(tmp_path: Path) -> None:
    (record,) = IU_XRAY_READER.records(_tables(tmp_path))
    assert (record.findings, record.impression) == ("The lungs are clear, XXXX.", "Normal chest.")
    assert [(image.path, image.view) for image in record.images] == [
        ("images/images_normalized/1_IM-0001-4001.dcm.png", "FRONTAL"),
        ("images/images_normalized/1_IM-0001-3001.dcm.png", "LATERAL"),
    ]


def test_the_paper_needs_both_sections_and_both_views(tmp_path: Path) -> None:
    _tables(tmp_path)
    assert refusals(IU_XRAY_READER, tmp_path) == {
        "2": "findings or impression are empty",
        "3": "not both a frontal and a lateral picture",
    }


def test_reports_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for n in (10, 2, 1):
        _report(tmp_path, n)
    assert [case.key for case in IU_XRAY_READER.cases(tmp_path)] == ["1", "2", "10"]


def test_bad_reports_cost_only_themselves(tmp_path: Path) -> None:
    _report(tmp_path, 1)
    _report(tmp_path, 2, images=1)
    _report(tmp_path, 3, findings="  ", impression="Clear.")
    _report(tmp_path, 4, impression="1.")
    (tmp_path / "ecgen-radiology" / "5.xml").write_text("<eCitation><Abs")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><eCitation>&b;</eCitation>'
    (tmp_path / "ecgen-radiology" / "6.xml").write_text(bomb)
    assert refusals(IU_XRAY_READER, tmp_path) == {
        "2": "not both a frontal and a lateral picture",
        "3": "findings or impression are empty",
        "4": "findings or impression are empty",
        "5": "a report is no XML",
        "6": "a report declares entities",
    }


@pytest.mark.parametrize("folder", ["images", ""])
def test_pictures_may_lie_in_other_folders(tmp_path: Path, folder: str) -> None:
    _report(tmp_path, 1)
    for path in list((tmp_path / "NLMCXR_png").iterdir()):
        (tmp_path / folder).mkdir(exist_ok=True)
        path.rename(tmp_path / folder / path.name)
    (tmp_path / "NLMCXR_png").rmdir()
    assert IU_XRAY_READER.check(tmp_path) == []


def test_missing_files_of_open_i_are_named(tmp_path: Path) -> None:
    assert [one.path for one in IU_XRAY_READER.check(tmp_path)] == ["ecgen-radiology/*.xml"]
    _report(tmp_path, 1)
    (tmp_path / "NLMCXR_png" / "CXR1_1_IM-0001-3001.png").unlink()
    (missing,) = IU_XRAY_READER.check(tmp_path)
    assert (missing.path, missing.problem) == ("NLMCXR_png/CXR1_1_IM-0001-3001.png", "missing")
    assert refusals(IU_XRAY_READER, tmp_path) == {"1": "a file of it is missing"}


def test_missing_files_of_the_tables_are_named(tmp_path: Path) -> None:
    _tables(tmp_path)
    (missing,) = IU_XRAY_READER.check(tmp_path)
    assert missing.path == "images/images_normalized/3_IM-1384-1002.dcm.png"
    (tmp_path / "indiana_projections.csv").unlink()
    assert [one.path for one in IU_XRAY_READER.check(tmp_path)] == ["indiana_projections.csv"]


def test_an_empty_folder_is_no_download(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"indiana_reports\.csv"):
        IU_XRAY_READER.cases(tmp_path)
