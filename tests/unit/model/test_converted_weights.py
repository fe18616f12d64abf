"""A release answers alike as it is and converted."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel  # noqa: F401  # loaded before warnings become errors in a test
from torch import Tensor
from transformers import LlamaForCausalLM

from model.errors import WeightsError
from model.families.medversa import MedVersaFamily
from model.families.medversa_opening import open_released, open_weights
from model.families.medversa_saving import convert
from model.questions import Form, Question
from model.reading import Modality, Task
from model.registry import load_family
from model.tensor_files import source_of, write_tensors
from model.vocabulary import VOCABULARIES
from model.volume import PlanarImage, Volume
from model.weights import CONFIG_FILE, LANGUAGE_MODEL, read_config
from tests.released_layout import (
    LLAMA_CONFIG,
    published_tensors,
    released_sizes,
    split_base,
    teach_to_write,
    write_release,
)
from tests.small_medversa import picture, random_network, volume

ANSWERS = {Modality.CXR: ["<DET>", "<2DSEG>"], Modality.CT: ["<3DSEG>"]}


def _release(folder: Path, generation: str, modality: Modality) -> dict[str, Tensor]:
    """A release whose answers call vision modules."""
    tensors = published_tensors(random_network(released_sizes(generation)))
    write_release(folder, tensors)
    teach_to_write(tensors, open_weights(folder).tokenizer, ANSWERS[modality])
    write_release(folder, tensors)
    return tensors


def _ask(weights: Path, modality: Modality, image: PlanarImage | Volume) -> tuple[MedVersaFamily, object]:
    family = load_family(str(weights))
    assert isinstance(family, MedVersaFamily)
    question = Question(Task.SEGMENTATION, Form.SEGMENTATION, "Segment the liver.", ("liver",))
    (answer,) = family.look(modality, [image]).answer([question])
    return family, answer


@pytest.mark.parametrize(
    ("generation", "modality"), [("v0", Modality.CXR), ("v1", Modality.CXR), ("v0", Modality.CT)]
)
def test_release_and_its_conversion_answer_alike(generation: str, modality: Modality, tmp_path: Path) -> None:
    _release(tmp_path / "released", generation, modality)
    convert(open_released(tmp_path / "released"), tmp_path / "converted")
    image = volume() if modality is Modality.CT else picture()
    first, one = _ask(tmp_path / "released", modality, image)
    second, other = _ask(tmp_path / "converted", modality, image)
    assert first.sizes == second.sizes
    assert first.vocabulary == second.vocabulary == VOCABULARIES["released"]
    assert first.identity.generation == second.identity.generation == generation
    assert one.text == other.text == "".join(ANSWERS[modality])
    assert one.complete
    assert one.boxes == other.boxes
    assert len(one.boxes) == ANSWERS[modality].count("<DET>")
    assert len(one.masks) == len(other.masks) == 1
    assert (one.masks[0] == other.masks[0]).all()
    assert one.token_probabilities == other.token_probabilities


@pytest.fixture
def tensors(tmp_path: Path) -> dict[str, Tensor]:
    return _release(tmp_path / "released", "v0", Modality.CXR)


def test_tensors_keep_their_types(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    halved = {n: t.bfloat16() if "llama_model" in n and "lora" not in n else t for n, t in tensors.items()}
    write_release(tmp_path / "released", halved)
    convert(open_released(tmp_path / "released"), tmp_path / "converted")
    found = open_weights(tmp_path / "converted").checkpoint
    for name in found:
        assert torch.equal(found.tensor(name), halved[name])
        assert found.tensor(name).dtype == halved[name].dtype
    said = json.loads((tmp_path / "converted" / LANGUAGE_MODEL / CONFIG_FILE).read_text())
    assert said["dtype"] == "bfloat16"


def test_large_parts_are_written_in_shards_that_transformers_opens(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    convert(open_released(tmp_path / "released"), tmp_path / "converted", shard=60_000)
    folder = tmp_path / "converted" / LANGUAGE_MODEL
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    llama = LlamaForCausalLM.from_pretrained(folder)
    assert torch.equal(llama.lm_head.weight, tensors["llama_model.base_model.model.lm_head.0.weight"])
    assert llama.config.rms_norm_eps == LLAMA_CONFIG["rms_norm_eps"]
    assert llama.config.rope_parameters["rope_theta"] == LLAMA_CONFIG["rope_theta"]


def _base(tensors: dict[str, Tensor], folder: Path) -> Path:
    rest, base = split_base(tensors)
    write_tensors(folder / "base", "model", {n: source_of(t) for n, t in base.items()})
    (folder / "base" / "config.json").write_text(json.dumps(LLAMA_CONFIG))
    write_release(folder / "released", rest, {})
    return folder / "base"


def test_base_may_be_named_instead_of_copied(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    base = _base(tensors, tmp_path)
    config = convert(open_released(tmp_path / "released", base), tmp_path / "converted", refer_to=base)
    assert config.language_model == str(base)
    assert not (tmp_path / "converted" / LANGUAGE_MODEL).exists()
    copied = convert(open_released(tmp_path / "released", base), tmp_path / "copied")
    _, one = _ask(tmp_path / "converted", Modality.CXR, picture())
    _, other = _ask(tmp_path / "copied", Modality.CXR, picture())
    assert one.boxes == other.boxes
    assert copied.language_model == LANGUAGE_MODEL
    (base / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"language_model/model\.safetensors is altered"):
        load_family(str(tmp_path / "converted"))


def test_base_that_the_checkpoint_changes_must_be_copied(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    base = _base(tensors, tmp_path)
    rest, own = split_base(tensors)
    write_release(tmp_path / "released", {**rest, "embed_states.weight": own["lm_head.weight"]}, {})
    with pytest.raises(WeightsError, match="a copy is needed"):
        convert(open_released(tmp_path / "released", base), tmp_path / "converted", refer_to=base)


def test_folder_in_use_is_not_written_to(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "converted").mkdir()
    (tmp_path / "converted" / "note").write_text("mine")
    with pytest.raises(WeightsError, match="not empty"):
        convert(open_released(tmp_path / "released"), tmp_path / "converted")


def test_release_that_does_not_fit_is_not_written(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    write_release(tmp_path / "released", {n: t for n, t in tensors.items() if n != "text_det.4.bias"})
    with pytest.raises(WeightsError, match=r"missing: text_det\.4\.bias"):
        convert(open_released(tmp_path / "released"), tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_conversion_that_was_cut_short_is_known_as_one(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    convert(open_released(tmp_path / "released"), tmp_path / "converted")
    assert read_config(tmp_path / "converted").preset == "released"
    (tmp_path / "converted" / CONFIG_FILE).unlink()
    with pytest.raises(WeightsError, match=r"no config\.json"):
        load_family(str(tmp_path / "converted"))
