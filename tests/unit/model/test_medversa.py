"""The MedVersa family on a network too small to know anything, and its structure at the published size."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import AnswerError, WeightsError
from model.families.family import Generation
from model.families.medversa import MedVersaFamily, prefix_ids
from model.families.medversa_loading import empty_network
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.released_keys import ALIASES, is_derived, published_name
from model.families.medversa_networks.sizes import DEMO, RELEASED, MedVersaSizes
from model.families.medversa_networks.tokenizer import ADDED_TOKENS, MedVersaTokenizer, train_tokenizer
from model.questions import Form, Question
from model.reading import Modality, ModelIdentity, Task
from model.registry import load_family
from model.transforms import PlanarPlacement
from model.vision_modules.registry import VISION_MODULES
from model.vision_modules.vision_module import SeenImage
from model.volume import FrameKey, Geometry, PlanarImage, Volume
from model.weights import CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE, WeightsConfig, read_config, save_weights

WORDS = ["Segment the liver in <img0>. Is there any nodule? Yes. No. The mask is <2DSEG>."] * 3
SMALL = replace(
    DEMO,
    image_size=56,
    swin_embed=8,
    swin_depths=(1, 1),
    swin_heads=(1, 2),
    swin_window=3,
    volume_grid=(16, 32, 32),
    unet3d_widths=(4, 4, 8, 8, 8),
    unet3d_groups=2,
    segmentation_size=64,
    unet2d_width=4,
    unet2d_decoder=(8, 8, 8, 4, 4),
    unet2d_groups=2,
    hidden=16,
    feed_forward=32,
    layers=2,
    heads=2,
    context=160,
    lora_rank=4,
    detection_hidden=8,
    max_new_tokens=8,
    max_images=2,
)


@pytest.fixture(scope="module")
def tokenizer() -> MedVersaTokenizer:
    return MedVersaTokenizer.from_tokenizer(train_tokenizer(WORDS, 320))


@pytest.fixture(scope="module")
def family(tokenizer: MedVersaTokenizer) -> MedVersaFamily:
    torch.manual_seed(1)
    sizes = replace(SMALL, vocabulary=tokenizer.tokenizer.get_vocab_size())
    network = MedVersaNetwork(sizes).requires_grad_(False).eval()
    # LoRA starts as nothing; give it something to add.
    for name, parameter in network.named_parameters():
        if "lora_B" in name or "lm_head" in name or "embed_tokens" in name:
            parameter.normal_(std=0.5)
    return MedVersaFamily(ModelIdentity("medversa", "small", "0", "", True), network, tokenizer)


def _picture(seed: int = 0) -> PlanarImage:
    return PlanarImage(np.random.default_rng(seed).random((90, 70), np.float32), FrameKey("1"))


def _volume() -> Volume:
    voxels = np.random.default_rng(0).normal(0, 80, (9, 40, 30)).astype(np.float32)
    return Volume(voxels, Geometry(np.diag([3.0, 1, 1, 1])), tuple(FrameKey(f"1.{k}") for k in range(9)))


# Structure


def _published_list() -> Iterator[tuple[str, tuple[int, ...]]]:
    path = Path(__file__).resolve().parents[3].parent / "shared" / "parity" / "medversa_keys.tsv"
    if not path.is_file():
        pytest.skip("the published key list is not beside the checkout")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, shape = line.split("\t")[:2]
            yield name, ast.literal_eval(shape)


def test_published_size_has_the_published_names_and_shapes() -> None:
    expected = {n: s for n, s in _published_list() if not is_derived(n) and n not in ALIASES}
    with torch.device("meta"):
        state = MedVersaNetwork(RELEASED).state_dict()
    own = {published_name(n): tuple(t.shape) for n, t in state.items()}
    assert {n: s for n, s in own.items() if not is_derived(n)} == expected


def test_every_name_that_the_loader_leaves_out_can_be_derived() -> None:
    left_out = {n for n, _ in _published_list() if is_derived(n) or n in ALIASES}
    assert len(left_out) == 1098 - 1040
    assert all(n in ALIASES or n.endswith(("inv_freq", "relative_position_index")) for n in left_out)


def test_sizes_survive_json() -> None:
    assert MedVersaSizes.from_json(DEMO.to_json()) == DEMO


def test_unknown_size_is_refused() -> None:
    with pytest.raises(TypeError):
        MedVersaSizes.from_json({**DEMO.to_json(), "width": 3})


# Tokens


def test_added_tokens_take_the_last_ids_in_published_order(tokenizer: MedVersaTokenizer) -> None:
    size = tokenizer.tokenizer.get_vocab_size()
    assert [tokenizer.encode(t) for t in ADDED_TOKENS] == [[n] for n in range(size - 5, size)]
    assert list(tokenizer.tags.values()) == list(VISION_MODULES)


@pytest.mark.parametrize("text", ["nodule,<N/A>.heart,<DET>,<DET>.", "naïve 胸部 ☂ 12.5 mm", " Yes.", ""])
def test_any_text_survives_the_tokenizer(tokenizer: MedVersaTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_each_image_holds_nine_places_between_its_tags(tokenizer: MedVersaTokenizer) -> None:
    ids = prefix_ids(tokenizer, 2, 9)
    places = "<ImageHere>" * 9
    assert tokenizer.decode(ids) == f"<s>###Human:<img0>{places}</img0><img1>{places}</img1>"


# Answers


def answers(
    family: MedVersaFamily, images: Sequence[PlanarImage | Volume], texts: Sequence[str]
) -> list[Generation]:
    return family.look(Modality.CXR, images).answer([Question(Task.VQA, Form.FREE, text) for text in texts])


def test_same_request_same_answer_in_any_order(family: MedVersaFamily) -> None:
    questions = ["Segment the liver.", "Is there any nodule in <img0>?"]
    first = answers(family, [_picture()], questions)
    second = answers(family, [_picture()], questions[::-1])[::-1]
    assert [a.text for a in first] == [a.text for a in second]
    assert [a.yes_probability for a in first] == pytest.approx([a.yes_probability for a in second], abs=1e-6)


def test_answer_depends_on_every_image(family: MedVersaFamily) -> None:
    question = ["Is there any nodule in <img0>?"]
    (one,) = answers(family, [_picture(0), _picture(1)], question)
    (other,) = answers(family, [_picture(0), _picture(2)], question)
    assert one.yes_probability != other.yes_probability


def test_too_many_images_are_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="3 images"):
        answers(family, [_picture()] * 3, ["?"])
    with pytest.raises(AnswerError, match="0 images"):
        answers(family, [], ["?"])


def test_too_long_a_question_is_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="context is 160"):
        answers(family, [_picture()], ["?" * 200])


def test_reserved_word_in_a_question_is_refused(family: MedVersaFamily) -> None:
    with pytest.raises(AnswerError, match="reserved"):
        answers(family, [_picture()], ["What is <ImageHere>?"])


# Vision modules


@pytest.mark.parametrize("tag", VISION_MODULES)
def test_every_module_answers_on_the_source_grid(family: MedVersaFamily, tag: str) -> None:
    image = _volume() if tag == "<3DSEG>" else _picture()
    shape = image.voxels.shape if isinstance(image, Volume) else (1, *image.pixels.shape)
    (seen,) = family.see([image])
    outcomes = VISION_MODULES[tag](family.network)(torch.randn(2, SMALL.hidden), seen)
    assert len(outcomes) == 2
    for outcome in outcomes:
        if tag == "<DET>":
            j0, i0, j1, i1 = outcome.tolist()
            assert 0 <= j0 <= j1 <= shape[1]
            assert 0 <= i0 <= i1 <= shape[2]
        else:
            assert outcome.shape == shape
            assert 0 <= outcome.min() <= outcome.max() <= 1


@pytest.mark.parametrize("tag", VISION_MODULES)
def test_every_module_refuses_the_wrong_kind_of_image(family: MedVersaFamily, tag: str) -> None:
    image = _picture() if tag == "<3DSEG>" else _volume()
    (seen,) = family.see([image])
    with pytest.raises(AnswerError):
        VISION_MODULES[tag](family.network)(torch.randn(1, SMALL.hidden), seen)


def test_detection_scales_fractions_to_the_source(family: MedVersaFamily) -> None:
    seen = SeenImage(_picture(), PlanarPlacement(90, 70), torch.zeros(9, SMALL.hidden))
    last = family.network.text_det[4]
    kept = (last.weight.clone(), last.bias.clone())
    try:
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.1, 0.2, 0.5, 0.8]))
        (box,) = VISION_MODULES["<DET>"](family.network)(torch.randn(1, SMALL.hidden), seen)
    finally:
        last.weight.copy_(kept[0])
        last.bias.copy_(kept[1])
    assert box.tolist() == pytest.approx([18, 7, 72, 35])


# Weights


@pytest.fixture
def folder(family: MedVersaFamily, tmp_path: Path) -> Path:
    family.tokenizer.tokenizer.save(str(tmp_path / TOKENIZER_FILE))
    described = WeightsConfig(
        "medversa", "demo", "small", "0", True, family.sizes.to_json(), "", "", 2.0, {"seed": 1}, {}
    )
    save_weights(tmp_path, family.network, described)
    return tmp_path


def test_saved_weights_answer_alike(family: MedVersaFamily, folder: Path) -> None:
    loaded = load_family(str(folder))
    assert loaded.identity.name == "small"
    assert loaded.identity.demo_weights
    assert len(loaded.identity.weights_sha256) == 64
    assert isinstance(loaded, MedVersaFamily)
    for name, tensor in family.network.state_dict().items():
        expected = tensor.half().to(tensor.dtype)
        torch.testing.assert_close(loaded.network.state_dict()[name], expected, atol=0, rtol=0)


def test_loading_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    empty_network(SMALL)
    torch.testing.assert_close(torch.rand(3), expected, atol=0, rtol=0)


@pytest.mark.parametrize("file", [WEIGHTS_FILE, TOKENIZER_FILE])
def test_altered_file_is_refused_by_name(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[-20] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(WeightsError, match=file):
        load_family(str(folder))


@pytest.mark.parametrize("file", [WEIGHTS_FILE, TOKENIZER_FILE, CONFIG_FILE])
def test_missing_file_is_refused(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(WeightsError):
        load_family(str(folder))


def test_weights_of_another_size_are_refused(family: MedVersaFamily, folder: Path) -> None:
    described = read_config(folder)
    other = replace(described, sizes={**described.sizes, "hidden": 32})
    save_weights(folder, family.network, other)
    with pytest.raises(WeightsError, match="shape"):
        load_family(str(folder))


def test_weights_with_fewer_layers_are_refused_with_the_names_that_lack(
    family: MedVersaFamily, folder: Path
) -> None:
    described = read_config(folder)
    save_weights(folder, family.network, replace(described, sizes={**described.sizes, "layers": 3}))
    with pytest.raises(WeightsError, match=r"layers\.2"):
        load_family(str(folder))


def test_unknown_name_is_refused() -> None:
    with pytest.raises(WeightsError, match="medversa-demo"):
        load_family("no-such-family")
