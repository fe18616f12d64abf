"""Keeps count of the budgets that keep the house easy to walk through."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("model", "structured_reports", "dicom_node", "worker")
FORBIDDEN_NAMES = {"utils", "common", "helpers", "base", "manager", "core", "info", "misc"}
LONGEST_FILE = 500
LONGEST_FAMILY = 800
LONGEST_FUNCTION = 50
MOST_POSITIONAL = 5


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Click calls a command by keyword only: its parameters are its options."""
    return any("click.command" in ast.unparse(decorator) for decorator in function.decorator_list)


def broad_handlers(path: Path) -> int:
    handlers = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    return sum(
        handler.type is None
        or (isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"})
        for handler in handlers
    )


def test_no_file_is_longer_than_its_budget() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text().splitlines()))
        > (LONGEST_FAMILY if path.parent.name == "families" else LONGEST_FILE)
    }
    assert not too_long


def test_files_are_short_on_the_whole() -> None:
    lengths = [len(path.read_text().splitlines()) for path in sources() if path.name != "__init__.py"]
    assert statistics.median(lengths) < 175


def test_no_function_is_longer_than_its_budget() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{function.name}": length
        for path in sources()
        for function in functions(path)
        if (length := length_without_docstring(function)) > LONGEST_FUNCTION
    }
    assert not too_long


def test_nine_functions_of_ten_fit_a_glance() -> None:
    lengths = [length_without_docstring(function) for path in sources() for function in functions(path)]
    assert statistics.quantiles(lengths, n=10)[8] <= 30


def test_positional_parameters_are_few() -> None:
    too_many = {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path in sources()
        for function in functions(path)
        if not is_command(function)
        and len(
            [a for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in {"self", "cls"}]
        )
        > MOST_POSITIONAL
    }
    assert not too_many


def test_package_inits_are_empty() -> None:
    assert not [path for path in sources() if path.name == "__init__.py" and path.read_text().strip()]


@pytest.mark.parametrize("package", PACKAGES)
def test_names_say_what_a_file_is_for(package: str) -> None:
    assert not [path for path in (ROOT / package).rglob("*.py") if path.stem in FORBIDDEN_NAMES]


def test_broad_handlers_stand_only_at_process_boundaries() -> None:
    found = {str(path.relative_to(ROOT)): count for path in sources() if (count := broad_handlers(path))}
    boundaries = {
        *("worker/pipeline.py", "worker/shadow/runner.py"),
        *("dicom_node/scp.py", "dicom_node/receivers/registrar.py", "dicom_node/receivers/process.py"),
    }
    assert set(found) <= boundaries, found
    assert all(count == 1 for count in found.values()), found


def test_every_directory_of_tests_is_without_init() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
