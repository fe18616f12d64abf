"""Every number of the list has its test, and every test that is named is there."""

import ast
from pathlib import Path

import pytest

from tests.acceptance.result_objects.table import AIR, CHECKS, DIFFERENCES, NOT_YET

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def functions_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def path_of(test: str) -> Path:
    name = test.split("::")[0]
    return ROOT / name if "/" in name else HERE / name


@pytest.mark.parametrize("test", [test for tests in (*CHECKS.values(), *AIR.values()) for test in tests])
def test_a_named_test_is_there(test: str):
    assert test.split("::")[1] in functions_in(path_of(test))


def test_every_number_has_a_test_or_a_reason():
    assert sorted(CHECKS) == list(range(1, 41))
    assert {f"A{number}" for number in range(1, 21)} == set(AIR) | set(NOT_YET)


def test_every_test_of_a_number_is_named():
    named = {test.split("::")[1] for tests in (*CHECKS.values(), *AIR.values()) for test in tests}
    files = [*HERE.glob("test_*.py"), *ROOT.glob("tests/integration/test_archive*.py")]
    written = {name for path in files for name in functions_in(path)}
    assert {name for name in written if name.startswith(("test_check_", "test_air_"))} <= named


def test_a_difference_is_of_a_check():
    assert set(DIFFERENCES) <= set(CHECKS)
