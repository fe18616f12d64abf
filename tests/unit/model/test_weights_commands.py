"""`medversa-node weights`: what it tells, what it writes, and how it ends."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from model.weights_commands import weights
from tests.released_layout import PIECES, small_release


@pytest.fixture
def released(tmp_path: Path) -> Path:
    small_release(tmp_path / "MedVersa")
    return tmp_path / "MedVersa"


def _run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(weights, [str(a) for a in arguments])


def test_shipped_weights_are_told_without_a_folder() -> None:
    shown = _run("info")
    assert shown.exit_code == 0, shown.output
    for word in ("medversa-demo", "v0", "checked", "<2DSEG>", "visual_encoder_3d"):
        assert word in shown.output


def test_release_is_told_with_its_parts_and_tokens(released: Path) -> None:
    shown = _run("info", released)
    assert shown.exit_code == 0, shown.output
    for word in ("released", "v0", "llama_model, LoRA", f"<ImageHere> {PIECES}", f"<N/A> {PIECES + 4}"):
        assert word in shown.output
    parameters = sum(
        t.numel() for n, t in load_file(released / "model.safetensors").items() if "inv_" not in n
    )
    assert f"{parameters - 49 * 49:,}" in shown.output


def test_everything_that_is_wrong_with_a_release_is_told(released: Path) -> None:
    tensors = load_file(released / "model.safetensors")
    del tensors["text_det.4.bias"], tensors["text2seg_2d_gn.weight"]
    save_file(tensors, released / "model.safetensors")
    (released / "tokenizer.model").unlink()
    shown = _run("info", released)
    assert shown.exit_code == 1
    for word in ("missing: text_det.4.bias", "missing: text2seg_2d_gn.weight", "no tokenizer.model"):
        assert word in shown.output
    assert "visual_encoder_3d" in shown.output


def test_release_without_language_model_says_so(released: Path) -> None:
    tensors = load_file(released / "model.safetensors")
    save_file({n: t for n, t in tensors.items() if "llama_model" not in n}, released / "model.safetensors")
    shown = _run("info", released)
    assert shown.exit_code == 1
    assert "no language model" in shown.output
    assert "v0" in shown.output


def test_pickles_are_not_opened_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pth").write_bytes(b"\x80")
    shown = _run("info", tmp_path)
    assert shown.exit_code == 1
    assert "checkpoint.pth" in shown.output


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "tokenizer.json").write_bytes(b"{}"), "tokenizer.json is altered"),
        (
            lambda f: (f / "adapter" / "adapter_model.safetensors").unlink(),
            "no adapter/adapter_model.safetensors",
        ),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not readable"),
        (lambda f: (f / "config.json").write_text('{"family": "medversa"}'), "config.json does not describe"),
    ],
)
def test_damage_to_a_converted_folder_is_told(
    released: Path, tmp_path: Path, damage: object, told: str
) -> None:
    assert _run("convert", released, tmp_path / "out").exit_code == 0
    damage(tmp_path / "out")
    shown = _run("info", tmp_path / "out")
    assert shown.exit_code == 1
    assert told in shown.output


def test_conversion_says_where_it_is_and_can_be_told_again(released: Path, tmp_path: Path) -> None:
    done = _run("convert", released, tmp_path / "out", "--name", "our-medversa")
    assert done.exit_code == 0, done.output
    assert "our-medversa (v0)" in done.output
    shown = _run("info", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "our-medversa released" in shown.output
    assert "checked" in shown.output


def test_tokenizer_may_lie_elsewhere(released: Path, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (released / "tokenizer.model").rename(tmp_path / "words" / "tokenizer.model")
    assert _run("convert", released, tmp_path / "out").exit_code == 1
    assert _run("convert", released, tmp_path / "out", "--tokenizer", tmp_path / "words").exit_code == 0


def test_failure_is_one_sentence_and_leaves_nothing(released: Path, tmp_path: Path) -> None:
    (released / "model.safetensors").write_bytes(b"nothing")
    failed = _run("convert", released, tmp_path / "out")
    assert failed.exit_code == 1
    assert "model.safetensors is not readable" in failed.output
    assert "Traceback" not in failed.output
    assert not (tmp_path / "out").exists()


def test_link_without_base_is_a_usage_error(released: Path, tmp_path: Path) -> None:
    assert _run("convert", released, tmp_path / "out", "--link-base").exit_code == 2


def test_command_is_found_by_the_command_line() -> None:
    named = {e.name: e.value for e in entry_points(group="medversa_node.commands")}
    assert named["weights"] == "worker.promotion_command:weights"
