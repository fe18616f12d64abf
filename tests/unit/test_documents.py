"""What README and `deploy/` tell an administrator holds for the code: examples, commands, defaults, names."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

from dicom_node.advice import WHAT_TO_DO
from dicom_node.cli import COMMANDS, SUMMARIES
from dicom_node.diagnosis.faults import REMEDIES
from dicom_node.rules.settings import Rule
from dicom_node.section import Section
from dicom_node.settings import Node, load_settings
from dicom_node.study import JobState, Reason, StudyState
from worker.conformance_statement.configuration import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "deploy").glob("*.md")))
ENTRY_POINTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "entry-points"
][COMMANDS]
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
A_PACS = '[[destinations]]\nname = "PACS"\nae_title = "PACS"\nport = 104\n'
NEEDED_BY_KIND = {"ae_title", "port", "url", "folder", "source", "key_file"}
"""Keys that one kind of a table must have, and the others have not."""


def toml_in(document: str) -> str:
    """Return all examples of a document as one file."""
    return "\n".join(code for kind, code in FENCED.findall((ROOT / document).read_text()) if kind == "toml")


def with_all_examples(toml: str) -> str:
    """Take the comment signs off what could be settings."""
    return re.sub(r"^# (?=\[|[\w.]+ = )", "", toml, flags=re.MULTILINE)


NODE_TOML = (ROOT / "deploy" / "node.toml").read_text()


@pytest.mark.parametrize(
    "toml",
    [
        pytest.param(NODE_TOML, id="node.toml"),
        pytest.param(with_all_examples(NODE_TOML), id="node.toml, uncommented"),
        pytest.param(toml_in("README.md"), id="README.md"),
        pytest.param(A_PACS + toml_in("deploy/rules.md"), id="rules.md"),
        pytest.param(toml_in("deploy/postgresql.md"), id="postgresql.md"),
    ],
)
def test_an_example_is_a_configuration(toml: str, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(toml, encoding="utf-8")

    assert toml.strip()
    load_settings(file, {})


def test_every_key_of_node_toml_is_tried() -> None:
    left = [line for line in with_all_examples(NODE_TOML).splitlines() if re.match(r"# *\w+ = ", line)]

    assert not left


@pytest.mark.parametrize("table", SECTIONS)
def test_the_default_that_is_told_is_the_default(table: str) -> None:
    amiss = [key for key in SECTIONS[table].model_fields if not is_told(SECTIONS[table], key)]

    assert not amiss


def is_told(section: type[BaseModel], key: str) -> bool:
    """Say whether the text about a key tells its default, or that there is none."""
    field = section.model_fields[key]
    told = " ".join((field.description or "").split())
    default: Any = field.get_default(call_default_factory=True)
    if field.is_required():
        return "Default" not in told
    if key == "calling_ae_title":  # that of the file, where it has one
        return default == Node.model_fields["ae_title"].default and "Default: our own AE title." in told
    if isinstance(default, Section):
        return True
    if key in NEEDED_BY_KIND and default is None and "Default" not in told:
        return True
    if default in (None, "", (), {}) or key == "addresses":
        is_condition = section is Rule and key != "profiles" and "Default" not in told
        return is_condition or re.search(r"Default(:| empty[:.])", told) is not None
    return any(re.search(rf"Default {re.escape(text)}[.:,]", told) for text in spellings(default))


def spellings(value: object) -> set[str]:
    match value:
        case bool():
            return {str(value).lower()}
        case int():
            return {str(value), f"{value / (1 << 20):g} MiB", f"{value / (1 << 30):g} GiB"}
        case float():
            return {f"{value:g}"}
        case tuple():
            return {", ".join(f"{each:g}" for each in value)}
        case _:
            return {str(value)}


def test_every_command_is_in_the_readme_and_has_a_line_in_the_help() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = [line.split("|")[1] for line in readme.splitlines() if line.startswith("| `medversa-node ")]
    named = {name for row in rows for name in re.findall(r"`(?:medversa-node )?([a-z-]+)`", row)}

    assert named == set(ENTRY_POINTS)
    assert set(SUMMARIES) == set(ENTRY_POINTS)


def calls() -> list[str]:
    """List everything that is said to be typed after `medversa-node`, in documents and in advice."""
    found: list[str] = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        code = "\n".join(block for _, block in FENCED.findall(text))
        found += re.findall(r"^ *medversa-node ([^#\n]+)", code, re.MULTILINE)
        found += re.findall(r"`medversa-node ([^`]+)`", " ".join(FENCED.sub("", text).split()))
    for advice in (*WHAT_TO_DO.values(), *REMEDIES.values()):
        found += re.findall(r"`medversa-node ([^`]+)`", advice)
    return found


@pytest.mark.parametrize("call", sorted(set(calls())))
def test_what_is_said_to_be_typed_exists(call: str) -> None:
    name, *words = call.split()
    command: click.Command = EntryPoint(name, ENTRY_POINTS[name], COMMANDS).load()
    if isinstance(command, click.Group) and words:
        command = command.commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= known


UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_starts_what_exists_as_nobody_special(unit: Path) -> None:
    text = unit.read_text()
    (started,) = re.findall(
        r"^ExecStart=/opt/medversa-node/.venv/bin/medversa-node (.+)$", text, re.MULTILINE
    )

    test_what_is_said_to_be_typed_exists(started)
    assert "\nUser=medversa\n" in text
    assert text.startswith("# ")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        name = unit.name.replace("@", "@reading")
        (tmp_path / name).write_text(unit.read_text().replace("/opt/medversa-node/.venv/bin/", "/bin/sh "))
    names = [f"./{path.name}" for path in tmp_path.iterdir()]
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names]

    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
        assert not [link for link in links if not (document.parent / link).exists()]


def test_states_and_reasons_that_are_named_exist_and_no_state_is_left_out() -> None:
    jobs, rules = ((ROOT / "deploy" / f"{name}.md").read_text() for name in ("jobs", "rules"))
    reasons = set(re.findall(r"\b(?!MEDVERSA_)[A-Z]+_[A-Z_]+\b", jobs + rules))

    assert reasons <= set(Reason.__members__)
    assert [state for state in (*JobState, *StudyState) if f"`{state.value}`" not in jobs] == []


def test_every_key_of_a_rule_is_described() -> None:
    rules = (ROOT / "deploy" / "rules.md").read_text()
    cells = {key for row in re.findall(r"^\| (`[^|]+) \|", rules, re.MULTILINE) for key in row.split(", ")}

    assert cells == {f"`{key}`" for key in Rule.model_fields}
