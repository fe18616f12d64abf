"""Key images: the frames that show what was found."""

from dataclasses import replace

import numpy as np
from highdicom.ko import KeyObjectSelection
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from model.reading import Mask, Modality, Presence, Reading, Task
from model.volume import Geometry
from structured_reports.profiles import Profile
from structured_reports.registry import write_results
from structured_reports.sources import Sources
from structured_reports.writers.key_frames import key_frames
from tests.unit.structured_reports.readings import (
    MODEL,
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    header,
    key,
    only,
    sources,
    stored,
)

OF_INTEREST = "113000"
HIDING_TITLES = {"113001", "113037", "113038", "113039"}
"""Rejection notes of CID 7011: archives hide what they name."""


def selection_of(reading: Reading, given: Sources) -> Dataset:
    return only(write_results(reading, given, RUN, Profile.FULL), "KO")


def named(selection: Dataset) -> list[Dataset]:
    return [item.ReferencedSOPSequence[0] for item in selection.ContentSequence if item.ValueType == "IMAGE"]


def test_the_image_with_boxes_is_named():
    ds = header()
    selection = selection_of(chest_reading(ds), sources(ds))
    assert selection.SOPClassUID == KeyObjectSelectionDocumentStorage
    assert [item.ReferencedSOPInstanceUID for item in named(selection)] == [ds.SOPInstanceUID]
    title = selection.ConceptNameCodeSequence[0].CodeValue
    assert title == OF_INTEREST
    assert title not in HIDING_TITLES


def test_the_slices_that_show_most_of_each_organ_are_named():
    slices = ct_slices()
    voxels = np.zeros((5, 64, 48), dtype=bool)
    voxels[1, :4, :4] = voxels[3, :8, :8] = True
    geometry = Geometry(np.eye(4))
    liver = Mask("liver", voxels, tuple(key(ds) for ds in slices), geometry)
    spleen = Mask("spleen", voxels[::-1].copy(), tuple(key(ds) for ds in slices), geometry)
    reading = replace(ct_reading(slices), masks=(liver, spleen), boxes=(), findings=())
    selection = selection_of(reading, sources(*slices))
    uids = [item.ReferencedSOPInstanceUID for item in named(selection)]
    assert uids == [slices[3].SOPInstanceUID, slices[1].SOPInstanceUID]


def test_a_frame_of_several_is_named_by_its_number():
    ds = stored("ct_enhanced", "CT0012.explicit_little_endian.dcm")
    voxels = np.zeros((2, int(ds.Rows), int(ds.Columns)), dtype=bool)
    voxels[1, 10:50, 10:50] = True
    mask = Mask("liver", voxels, (key(ds, 1), key(ds, 2)), Geometry(np.eye(4)))
    selection = selection_of(Reading(Modality.CT, MODEL, (Task.SEGMENTATION,), masks=(mask,)), sources(ds))
    assert [item.ReferencedFrameNumber for item in named(selection)] == [2]


def test_nothing_with_a_place_means_no_selection():
    ds = header()
    reading = replace(chest_reading(ds), findings=(), boxes=(), masks=())
    modalities = [result.Modality for result in write_results(reading, sources(ds), RUN, Profile.FULL)]
    assert "KO" not in modalities


def test_what_is_called_absent_is_no_key_image():
    ds = header()
    absent = tuple(replace(f, presence=Presence.ABSENT) for f in chest_reading(ds).findings)
    assert key_frames(replace(chest_reading(ds), findings=absent, boxes=(), masks=())) == []


def test_it_says_what_it_is():
    ds = header()
    selection = selection_of(chest_reading(ds), sources(ds))
    (words,) = [item.TextValue for item in selection.ContentSequence if item.ValueType == "TEXT"
                and item.ConceptNameCodeSequence[0].CodeValue == "113012"]  # fmt: skip
    assert "Not verified by a physician" in words
    assert "synthetic phantoms" in words
    assert (selection.SeriesNumber, selection.PatientID) == (9004, ds.PatientID)


def test_a_second_implementation_reads_it():
    ds = header()
    selection = selection_of(chest_reading(ds), sources(ds))
    root = Dataset()
    for keyword in ("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentTemplateSequence"):
        root[keyword] = selection[keyword]
    root.ContentSequence = [item for item in selection.ContentSequence if "ConceptNameCodeSequence" in item]
    read = KeyObjectSelection.from_sequence([root])
    (observer,) = read.get_observer_contexts()
    assert observer.observer_type.value == "121007"
