"""Every number of the list has its test, and every test that is named is there."""

import ast
from pathlib import Path

import pytest

from tests.acceptance.result_objects.table import CHECKS, DIFFERENCES

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def functions_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def path_of(test: str) -> Path:
    name = test.split("::")[0]
    return ROOT / name if "/" in name else HERE / name


@pytest.mark.parametrize("test", [test for tests in CHECKS.values() for test in tests])
def test_a_named_test_is_there(test: str):
    assert test.split("::")[1] in functions_in(path_of(test))


def test_every_check_has_a_test_and_every_test_of_a_check_is_named():
    assert sorted(CHECKS) == list(range(1, 40))
    named = {test.split("::")[1] for tests in CHECKS.values() for test in tests}
    written = {
        name for path in HERE.glob("test_*.py") for name in functions_in(path) if "test_check_" in name
    }
    assert written <= named


def test_a_difference_is_of_a_check():
    assert set(DIFFERENCES) <= set(CHECKS)
