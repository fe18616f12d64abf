"""The viewers' readers, bundled once for all tests; where they are absent, tests are skipped and say so."""

import pytest

from tests.viewers.ohif import MODULES, Ohif, bundled
from worker.demo.servers import find_program


@pytest.fixture(scope="session")
def readers() -> None:
    """Skip where node or the packages of tests/viewers/package-lock.json are not installed."""
    if find_program("node") is None:
        pytest.skip("node is not installed (run `make viewers`)")
    if not (MODULES / "@cornerstonejs" / "adapters").is_dir():
        pytest.skip("the readers inside OHIF are not installed (run `make viewers`)")


@pytest.fixture(scope="session")
def ohif(readers: None, tmp_path_factory: pytest.TempPathFactory) -> Ohif:
    program = tmp_path_factory.mktemp("ohif") / "read_results.cjs"
    return Ohif(bundled("read_results.mjs", program, "node"))
