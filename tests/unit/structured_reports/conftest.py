"""Results that many tests look at; nobody changes them."""

import pytest
from pydicom.dataset import Dataset

from structured_reports.registry import write_results
from tests.unit.structured_reports.readings import (
    RUN,
    chest_reading,
    ct_reading,
    ct_slices,
    dermoscopy,
    grown_nodule,
    header,
    only,
    prior_of,
    skin_reading,
    sources,
)


@pytest.fixture(scope="session")
def chest_results() -> tuple[Dataset, ...]:
    ds = header()
    return write_results(chest_reading(ds, [grown_nodule()]), sources(ds, priors=[prior_of(ds)]), RUN)


@pytest.fixture(scope="session")
def chest_report(chest_results: tuple[Dataset, ...]) -> Dataset:
    return only(chest_results, "SR")


@pytest.fixture(scope="session")
def ct_results() -> tuple[Dataset, ...]:
    slices = ct_slices()
    return write_results(ct_reading(slices), sources(*slices), RUN)


@pytest.fixture(scope="session")
def skin_results() -> tuple[Dataset, ...]:
    ds = dermoscopy()
    return write_results(skin_reading(ds), sources(ds), RUN)
