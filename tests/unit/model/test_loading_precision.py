"""Weights are loaded in the precision that is asked for: what changes, what must not, and what is refused."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import MemoryShortageError, WeightsError
from model.families.family import Generation
from model.families.medversa import MedVersaFamily
from model.families.medversa_loading import checked_need, empty_network, load_medversa
from model.families.medversa_networks.sizes import RELEASED
from model.memory import GIB
from model.precision import Precision
from model.prompts import phrase
from model.quantized_layers import Int8Linear, decoder_matrices
from model.questions import Form, Question
from model.reading import Modality, Task
from model.training.phantoms.chest import make_chest_case
from model.volume import FrameKey, PlanarImage
from model.wordings import WORDINGS

SHIPPED = Path(str(files("model.families") / "demo_weights"))
ASKED = [
    Question(task, form, phrase(WORDINGS[Modality.CXR, form][0], names=names))
    for task, form, names in (
        (Task.CLASSIFICATION, Form.GATE, ()),
        (Task.SEGMENTATION, Form.SEGMENTATION, ("right lung",)),
        (Task.SEGMENTATION, Form.SEGMENTATION, ("left lung",)),
        (Task.ANATOMY_DETECTION, Form.DETECTION, ("heart",)),
    )
]


def _answers(family: MedVersaFamily) -> list[Generation]:
    picture = PlanarImage(make_chest_case(3_000_001).current.pixels, FrameKey("1"))
    return family.look(Modality.CXR, [picture]).answer(ASKED)


@pytest.fixture(scope="module")
def exact() -> MedVersaFamily:
    return load_medversa(SHIPPED, "cpu", "float32")


@pytest.fixture(scope="module")
def answers(exact: MedVersaFamily) -> list[Generation]:
    return _answers(exact)


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
def test_fewer_bits_say_and_show_the_same(answers: list[Generation], precision: Precision) -> None:
    family = load_medversa(SHIPPED, "cpu", precision)
    found = _answers(family)
    assert family.conditions.precision == precision
    assert [one.text for one in found] == [one.text for one in answers]
    for mine, theirs in zip(found, answers, strict=True):
        for mask, other in zip(mine.masks, theirs.masks, strict=True):
            both = np.sum((mask >= 0.5) & (other >= 0.5))
            assert 2 * both / (np.sum(mask >= 0.5) + np.sum(other >= 0.5)) > 0.99
        for box, other_box in zip(mine.boxes, theirs.boxes, strict=True):
            assert np.abs(np.subtract(box, other_box)).max() < 224 / 100


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.INT8])
def test_encoders_and_heads_are_the_same_in_every_precision(
    exact: MedVersaFamily, precision: Precision
) -> None:
    """bfloat16 convolutions are wrong for some shapes on a CPU (pytorch/pytorch issue 169688)."""
    network = load_medversa(SHIPPED, "cpu", precision).network
    before = dict(exact.network.named_parameters())
    outside = {n: p for n, p in network.named_parameters() if not n.startswith("llama_model.")}
    assert any("conv" in name for name in outside)
    assert all(torch.equal(parameter, before[name]) for name, parameter in outside.items())
    assert network.llama.lm_head.weight.dtype == torch.bfloat16
    assert network.llama.get_input_embeddings().weight.dtype == torch.bfloat16
    adapters = [p for n, p in network.named_parameters() if ".lora_" in n]
    assert adapters
    assert all(p.dtype == torch.bfloat16 for p in adapters)


def test_quantized_weights_are_those_of_the_file(exact: MedVersaFamily) -> None:
    """Matrices go from the mapped file to int8 without the detour over bfloat16 that would round twice."""
    network = load_medversa(SHIPPED, "cpu", Precision.INT8).network
    for name, matrix in decoder_matrices(exact.network.llama):
        layer = network.llama.get_submodule(name)
        assert isinstance(layer, Int8Linear)
        assert torch.equal(layer.weight, Int8Linear(matrix.weight).weight)


def test_auto_loads_a_small_model_in_float32() -> None:
    network = load_medversa(SHIPPED, "cpu").network
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_widths_that_int4_cannot_keep_are_refused() -> None:
    with pytest.raises(WeightsError, match="choose precision int8"):
        load_medversa(SHIPPED, "cpu", "int4")


def test_seven_billion_parameters_are_refused_where_they_do_not_fit() -> None:
    network = empty_network(RELEASED)
    with pytest.raises(MemoryShortageError) as caught:
        checked_need(network, Precision.BFLOAT16, 12 * GIB)
    assert "12.0 GiB are free; choose precision int8" in str(caught.value)
    with pytest.raises(MemoryShortageError, match="no precision fits"):
        checked_need(network, Precision.INT4, 4 * GIB)
    assert checked_need(network, Precision.BFLOAT16, 24 * GIB).weights < 14e9


def test_no_tensor_is_read_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.families.medversa_loading.free_memory", lambda device: 1 << 20)
    monkeypatch.setattr("model.families.medversa_loading.fill", None)
    with pytest.raises(MemoryShortageError):
        load_medversa(SHIPPED, "cpu")


def test_what_was_checked_is_what_answers_are_split_by(exact: MedVersaFamily) -> None:
    assert exact.need == checked_need(empty_network(exact.sizes), Precision.FLOAT32, None)
