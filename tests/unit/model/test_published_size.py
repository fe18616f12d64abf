"""Our network at the published size, without its memory: names, shapes and totals of the release."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from model.families.medversa_loading import empty_network
from model.families.medversa_networks.released_keys import ALIASES, is_derived, published_name
from model.families.medversa_networks.sizes import DEMO, RELEASED, RELEASED_V1, MedVersaSizes
from tests.shared_facts import SHARED


@pytest.fixture(scope="module")
def v0() -> dict[str, Tensor]:
    return {published_name(n): t for n, t in empty_network(RELEASED).state_dict().items()}


@pytest.fixture(scope="module")
def v1() -> dict[str, Tensor]:
    return {published_name(n): t for n, t in empty_network(RELEASED_V1).state_dict().items()}


def _published_list() -> Iterator[tuple[str, tuple[int, ...]]]:
    path = SHARED / "parity" / "medversa_keys.tsv"
    if not path.is_file():
        pytest.skip("the published key list is not beside the checkout")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, shape = line.split("\t")[:2]
            yield name, ast.literal_eval(shape)


def test_v0_has_the_published_names_and_shapes(v0: dict[str, Tensor]) -> None:
    expected = {n: s for n, s in _published_list() if not is_derived(n) and n not in ALIASES}
    assert {n: tuple(t.shape) for n, t in v0.items() if not is_derived(n)} == expected


def test_every_name_that_the_loader_leaves_out_can_be_derived() -> None:
    left_out = {n for n, _ in _published_list() if is_derived(n) or n in ALIASES}
    assert len(left_out) == 1098 - 1040
    assert all(n in ALIASES or n.endswith(("inv_freq", "relative_position_index")) for n in left_out)


def test_nothing_of_it_is_in_memory(v0: dict[str, Tensor]) -> None:
    assert all(t.is_meta for n, t in v0.items() if not is_derived(n) and not n.endswith(("_mean", "_var")))


@pytest.mark.parametrize(
    ("part", "tensors", "millions"),
    [
        ("visual_encoder_2d", 447 - 24, 86.80 - 24 * 49**2 / 1e6),
        ("visual_encoder_3d", 74, 10.04),
        ("llama_model", 451 - 32, 6747),
        ("text_det", 8, 1.06),
        ("model_seg_2d", 92, 14.33),
        ("text2seg_2d", 4, None),
        ("text2seg_2d_gn", 2, None),
        ("text2seg_2d_ln", 2, None),
        ("text2seg_3d", 4, None),
        ("ln_vision_3d", 2, None),
        ("llama_proj_2d", 2, None),
    ],
)
def test_each_part_has_its_published_size(
    v0: dict[str, Tensor], part: str, tensors: int, millions: float | None
) -> None:
    """The numbers of the published table, which counts 24 position indices and 32 rotary buffers as well."""
    own = [t for n, t in v0.items() if n.partition(".")[0] == part and not is_derived(n)]
    assert len(own) == tensors
    if millions is not None:
        assert sum(t.numel() for t in own) / 1e6 == pytest.approx(
            millions, abs=0.5 if millions > 1000 else 0.005
        )


def test_all_parts_together_have_the_published_size(v0: dict[str, Tensor]) -> None:
    own = [t for n, t in v0.items() if not is_derived(n)]
    assert len(own) == 1040
    assert sum(t.numel() for t in own) / 1e9 == pytest.approx(6.867, abs=5e-4)


def test_v1_adds_an_encoder_and_a_u_net_with_batch_norm(v0: dict[str, Tensor], v1: dict[str, Tensor]) -> None:
    added = {n: tuple(v1[n].shape) for n in v1.keys() - v0.keys()}
    assert v0.keys() <= v1.keys()
    counts = Counter(n.partition(".")[0] for n in added if not is_derived(n))
    assert counts == {
        "visual_encoder_2d_vqa": 447 - 24,
        "ln_vision_2d_vqa": 2,
        "llama_proj_2d_vqa": 2,
        # the table says 182 entries; 30 of them count training steps
        "model_sam_2d": 182 - 30,
        "text2sam_2d": 4,
        "text2sam_2d_bn": 4,
    }
    assert added["llama_proj_2d_vqa.weight"] == (4096, 1024)
    assert added["text2sam_2d_bn.running_var"] == (512,)
    assert added["model_sam_2d.encoder.bn1.running_mean"] == (64,)


@pytest.mark.parametrize("sizes", [DEMO, RELEASED, RELEASED_V1])
def test_sizes_survive_json(sizes: MedVersaSizes) -> None:
    assert MedVersaSizes.from_json(sizes.to_json()) == sizes


def test_unknown_size_is_refused() -> None:
    with pytest.raises(TypeError):
        MedVersaSizes.from_json({**DEMO.to_json(), "width": 3})


def test_it_does_not_disturb_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    empty_network(DEMO)
    torch.testing.assert_close(torch.rand(3), expected, atol=0, rtol=0)
