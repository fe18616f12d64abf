"""A directory in the released layout with the fixture's weights: loaded, converted and asked."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, models

from model.families.medversa import MedVersaFamily
from model.families.medversa_opening import open_released
from model.families.medversa_saving import convert
from model.questions import Form, Question
from model.reading import Modality, Task
from model.registry import load_family
from model.vision_modules.registry import VISION_MODULES
from tests.public_fixture import PublicFixture

PIECES = 32000


@pytest.fixture(scope="module", params=["v0", "v1"])
def families(
    request: pytest.FixtureRequest, public: PublicFixture, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, MedVersaFamily, MedVersaFamily]:
    """The release as it is, and converted."""
    folder = tmp_path_factory.mktemp("released")
    tensors = public.state_dict(request.param)
    head, tables = "llama_model.base_model.model.lm_head.0.weight", "embed_states.weight"
    tensors[tables] = tensors.pop(head)  # as a writer that keeps one name of each shared pair may choose
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(public.llama_config()))
    _write_tokenizer(public, folder / "tokenizer.json")
    converted = tmp_path_factory.mktemp("converted") / "out"
    convert(open_released(folder), converted)
    first, second = load_family(str(folder)), load_family(str(converted))
    assert isinstance(first, MedVersaFamily)
    assert isinstance(second, MedVersaFamily)
    return request.param, first, second


def _write_tokenizer(public: PublicFixture, path: Path) -> None:
    """As long as the published one: pieces that the fixture names at their ids, the rest unused."""
    stub = public.facts["tokenizer_stub"]
    ids = {piece: int(n) for n, piece in stub["pieces"].items() if int(n) < PIECES}
    ids |= {"<unk>": 0, "<s>": 1, "</s>": 2}
    ids |= {f"<0x{n:02X}>": n + 3 for n in range(256)}
    taken = set(ids.values())
    ids |= {f"<unused {n}>": n for n in range(PIECES) if n not in taken}
    made = Tokenizer(models.BPE(ids, [], unk_token="<unk>", byte_fallback=True))  # noqa: S106  # no password
    made.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    made.save(str(path))


def test_generation_ids_and_sizes_are_known(
    public: PublicFixture, families: tuple[str, MedVersaFamily, MedVersaFamily]
) -> None:
    generation, *both = families
    for family in both:
        assert family.identity.generation == generation
        special = public.facts["tokenizer_stub"]["special"]
        assert {t: family.tokenizer.tokenizer.token_to_id(t) for t in special} == special
        assert family.tokenizer.begin == public.facts["tokenizer_stub"]["bos"]
        assert family.sizes.hidden == public.facts["config"]["llama"]["hidden_size"]


def test_both_hold_the_same_tensors(families: tuple[str, MedVersaFamily, MedVersaFamily]) -> None:
    _, first, second = families
    one, other = first.network.state_dict(), second.network.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_both_answer_alike(
    public: PublicFixture, families: tuple[str, MedVersaFamily, MedVersaFamily]
) -> None:
    question = Question(Task.SEGMENTATION, Form.FREE, "Segment the lesion in <img0>.")
    images = [public.picture("img0"), public.picture("img1")]
    first, second = (family.look(Modality.CXR, images).answer([question])[0] for family in families[1:])
    assert first.text == second.text
    assert first.text
    assert first.token_probabilities == second.token_probabilities


@pytest.mark.parametrize("tag", ["<DET>", "<2DSEG>"])
def test_both_box_and_mask_alike(
    public: PublicFixture, families: tuple[str, MedVersaFamily, MedVersaFamily], tag: str
) -> None:
    found = []
    for family in families[1:]:
        with torch.inference_mode():
            (seen,) = family.see([public.picture("img0")])
            found.append(VISION_MODULES[tag](family.network)(public.hidden(), seen))
    for one, other in zip(*found, strict=True):
        assert (one == other).all()
