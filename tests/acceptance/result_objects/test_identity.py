"""Check 39: the same reading is the same bytes, another is another object."""

import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from structured_reports.registry import write_results
from tests.acceptance.result_objects.objects import BUNDLES, every_result, write
from tests.acceptance.result_objects.programs import run
from tests.unit.structured_reports.readings import RUN, chest_reading, header, only, sources

AGAIN = """
import sys
from hashlib import sha256
from pathlib import Path
from tests.acceptance.result_objects.objects import every_result, write
for ds in every_result():
    print(ds.SOPInstanceUID, sha256(write(ds, Path(sys.argv[1])).read_bytes()).hexdigest())
"""


def test_check_39_the_same_job_in_a_fresh_process_gives_the_same_bytes(tmp_path: Path):
    here = [
        [str(ds.SOPInstanceUID), sha256(write(ds, tmp_path).read_bytes()).hexdigest()]
        for ds in every_result()
    ]
    there = run(sys.executable, "-c", AGAIN, tmp_path)
    assert there.returncode == 0, there.stderr
    assert [line.split() for line in there.stdout.splitlines()] == here
    assert len({uid for uid, _ in here}) == len(here) > 3 * len(BUNDLES)


def test_check_39_another_content_is_another_instance():
    ds = header()
    reading = chest_reading(ds)
    surer = replace(reading.findings[0], certainty=0.9)
    changed = replace(reading, findings=(surer, *reading.findings[1:]))
    one, other = (write_results(each, sources(ds), RUN) for each in (reading, changed))
    assert only(one, "SR").SOPInstanceUID != only(other, "SR").SOPInstanceUID
    assert only(one, "SEG").SOPInstanceUID == only(other, "SEG").SOPInstanceUID, "its content is the same"


def test_check_39_a_second_run_names_the_first_and_lies_in_series_of_its_own():
    ds = header()
    first = write_results(chest_reading(ds), sources(ds), RUN)
    report = only(first, "SR")
    again = write_results(chest_reading(ds), sources(ds), replace(RUN, revision=2, predecessor=report))
    (study,) = only(again, "SR").PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == report.SOPInstanceUID
    assert all("rev 2" in each.SeriesDescription for each in again)
    assert {each.SeriesInstanceUID for each in first}.isdisjoint(each.SeriesInstanceUID for each in again)
