"""Weights put into service by one setting."""

from importlib.resources import files
from pathlib import Path
from shutil import copytree

import pytest
from click.testing import CliRunner

from dicom_node.settings import load_settings
from model.registry import load_family
from worker.errors import PromotionError
from worker.promotion import history, promote
from worker.promotion_command import weights

CONFIG = """# Ward 7's node.
[node]
data_dir = "data"   # beside this file

[worker]
weights = "medversa-demo"  # as shipped
device = "cpu"

[[destinations]]
name = "out"
kind = "folder"
folder = "out"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A training run as it is left: its result lies in `weights`."""
    copytree(str(files("model.families") / "demo_weights"), tmp_path / "run" / "weights")
    return tmp_path / "run"


def test_one_value_changes_and_nothing_else(config: Path, run_folder: Path) -> None:
    config.chmod(0o640)
    promotion = promote(str(run_folder), config)
    assert config.read_text(encoding="utf-8") == CONFIG.replace('"medversa-demo"', f'"{promotion.now}"')
    assert config.stat().st_mode & 0o777 == 0o640
    assert load_settings(config).worker.weights == promotion.now


def test_the_copy_serves_when_the_run_is_gone(config: Path, run_folder: Path) -> None:
    promotion = promote(str(run_folder), config)
    run_folder.rename(run_folder.with_name("gone"))
    assert load_family(promotion.now).identity.weights_sha256 == promotion.weights_sha256
    assert (Path(promotion.now) / "MODEL_CARD.md").is_file()
    assert promotion.weights_sha256[:12] in Path(promotion.now).name


def test_going_back_is_a_promotion(config: Path, run_folder: Path) -> None:
    first = promote(str(run_folder), config)
    promote(first.before, config)
    assert config.read_text(encoding="utf-8") == CONFIG
    told = history(load_settings(config))
    assert [(p.before, p.now) for p in told] == [("medversa-demo", first.now), (first.now, "medversa-demo")]


def test_a_file_without_the_setting_gets_it(config: Path, run_folder: Path) -> None:
    config.write_text('[node]\nae_title = "W7"\n', encoding="utf-8")
    promotion = promote(str(run_folder), config)
    assert load_settings(config).worker.weights == promotion.now
    assert load_settings(config).node.ae_title == "W7"


def test_promoting_twice_keeps_one_copy(config: Path, run_folder: Path) -> None:
    first, second = promote(str(run_folder), config), promote(str(run_folder), config)
    assert first.now == second.now
    assert len([p for p in Path(first.now).parent.iterdir() if p.is_dir()]) == 1


def test_a_damaged_copy_is_made_anew(config: Path, run_folder: Path) -> None:
    first = promote(str(run_folder), config)
    (Path(first.now) / "model.safetensors").write_bytes(b"torn")
    promote(str(run_folder), config)
    load_family(first.now)


def test_altered_weights_are_refused(config: Path, run_folder: Path) -> None:
    (run_folder / "weights" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PromotionError, match=r"tokenizer\.json is altered"):
        promote(str(run_folder), config)
    assert config.read_text(encoding="utf-8") == CONFIG


def test_weights_without_a_card_are_refused(config: Path, run_folder: Path) -> None:
    (run_folder / "weights" / "MODEL_CARD.md").unlink()
    with pytest.raises(PromotionError, match=r"no MODEL_CARD\.md"):
        promote(str(run_folder), config)


def test_what_is_no_run_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PromotionError, match="empty is no run"):
        promote(str(tmp_path / "empty"), config)


def test_the_command_says_how_to_go_back(config: Path, run_folder: Path) -> None:
    done = CliRunner().invoke(weights, ["promote", str(run_folder), "--config", str(config)])
    assert done.exit_code == 0, done.output
    assert f"weights promote medversa-demo --config {config}" in done.output
    failed = CliRunner().invoke(weights, ["promote", "nowhere", "--config", str(config)])
    assert failed.exit_code == 1
    assert "nowhere is no run" in failed.output
