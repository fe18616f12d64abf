"""What a network takes is known before it is loaded, and what does not fit is refused or split."""

import ast
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from model.errors import MemoryShortageError, WeightsError
from model.families.medversa_networks.footprint import footprint
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import DEMO, RELEASED, MedVersaSizes
from model.memory import GIB, RESERVE, MemoryNeed, check_fit, free_memory
from model.precision import Precision
from model.quantized_layers import quantize_decoder

CONCRETE = [p for p in Precision if p is not Precision.AUTO]
SMALL = MedVersaSizes.from_json(
    {**DEMO.to_json(), "hidden": 128, "feed_forward": 320, "layers": 2, "lora_rank": 4}
)


def _on_meta(sizes: MedVersaSizes) -> MedVersaNetwork:
    with torch.device("meta"):
        return MedVersaNetwork(sizes)


def _network(precision: Precision) -> MedVersaNetwork:
    network = MedVersaNetwork(SMALL).requires_grad_(False).eval()
    if precision is not Precision.FLOAT32:
        for parameter in network.llama_model.parameters():
            parameter.data = parameter.data.bfloat16()
    quantize_decoder(network.llama, precision)
    return network


def _stored_bytes(network: nn.Module) -> int:
    """Bytes of all storages behind a network, each counted once."""
    tensors: list[Tensor] = [*network.parameters(), *network.buffers()]
    for parameter in network.parameters():
        state = getattr(parameter, "quant_state", None)  # bitsandbytes hangs scales and levels there
        tensors += [] if state is None else [state.absmax, state.code]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


@pytest.mark.parametrize("precision", CONCRETE)
def test_estimate_of_weights_is_what_they_take(precision: Precision) -> None:
    if precision is Precision.INT4:
        pytest.importorskip("bitsandbytes")
    assert footprint(_on_meta(SMALL), precision).weights == _stored_bytes(_network(precision))


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8])
def test_estimate_of_the_cache_is_what_it_takes(precision: Precision) -> None:
    network, rows, tokens = _network(precision), 3, 7
    cache = DynamicCache(config=network.llama.config)
    embedded = network.embed(torch.ones(rows, tokens, dtype=torch.long))
    with torch.inference_mode():
        network.read(embedded, torch.ones(rows, tokens, dtype=torch.long), cache)
    held = sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))
    assert footprint(_on_meta(SMALL), precision).cache_per_token * rows * tokens == held


def test_released_size_is_what_the_published_tensors_add_up_to() -> None:
    """6.74 billion parameters of Llama-2-7b (arXiv:2307.09288) with five tokens more, and LoRA of rank 16."""
    lora = 32 * 2 * 2 * 16 * 4096
    llama = 2 * 32005 * 4096 + 32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 4096
    others = footprint(_on_meta(RELEASED), Precision.FLOAT32).weights - 4 * (llama + lora)
    in_half = footprint(_on_meta(RELEASED), Precision.BFLOAT16)
    assert in_half.weights - others == 2 * (llama + lora)
    assert 13.4e9 < in_half.weights - others < 13.6e9
    assert in_half.cache_per_token == 2 * 32 * 32 * 128 * 2


def test_published_key_list_takes_the_bytes_that_are_estimated() -> None:
    path = Path(__file__).resolve().parents[3].parent / "shared" / "parity" / "medversa_keys.tsv"
    if not path.is_file():
        pytest.skip("the published key list is not beside the checkout")
    elements = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and re.match(r"llama_model\.", line):
            name, shape = line.split("\t")[:2]
            if not name.endswith("inv_freq"):
                elements += torch.Size(ast.literal_eval(shape)).numel()
    network = _on_meta(RELEASED)
    float32, half = (footprint(network, p).weights for p in (Precision.FLOAT32, Precision.BFLOAT16))
    assert float32 - half == 2 * elements


def test_a_seven_billion_model_fits_a_24_gib_machine_in_half_and_in_fewer_bits() -> None:
    network = _on_meta(RELEASED)
    totals = {p: footprint(network, p).total(RELEASED.context) / GIB for p in CONCRETE}
    assert totals[Precision.FLOAT32] > 24 > totals[Precision.BFLOAT16]
    assert totals[Precision.BFLOAT16] > totals[Precision.INT8] > totals[Precision.INT4]


NEEDS = {
    Precision.FLOAT32: MemoryNeed(8 * GIB, GIB, 512, 512),
    Precision.BFLOAT16: MemoryNeed(4 * GIB, GIB, 256, 256),
    Precision.INT4: MemoryNeed(1 * GIB, GIB, 256, 256),
}


def test_what_fits_is_not_refused() -> None:
    check_fit(NEEDS, Precision.FLOAT32, 1, NEEDS[Precision.FLOAT32].total(1))


def test_what_does_not_fit_is_refused_with_the_best_precision_that_would() -> None:
    with pytest.raises(MemoryShortageError) as caught:
        check_fit(NEEDS, Precision.FLOAT32, 1, 6 * GIB)
    assert str(caught.value) == (
        "float32 weights need 9.5 GiB, 6.0 GiB are free; choose precision bfloat16 (5.5 GiB)"
    )
    assert isinstance(caught.value, WeightsError)


def test_where_nothing_fits_no_precision_is_advised() -> None:
    with pytest.raises(MemoryShortageError, match="no precision fits"):
        check_fit(NEEDS, Precision.INT4, 1, GIB)


def test_a_long_request_counts() -> None:
    need = NEEDS[Precision.INT4]
    with pytest.raises(MemoryShortageError):
        check_fit(NEEDS, Precision.INT4, 2 * GIB // 512, need.total(1))


def test_rows_are_as_many_as_memory_holds() -> None:
    need = MemoryNeed(weights=5 * GIB, encoding=GIB, cache_per_token=768, work_per_token=256)
    a_row = 100 * 1024
    assert need.rows(RESERVE + GIB + 3 * a_row, tokens=100) == 3
    assert need.rows(RESERVE + GIB + 4 * a_row - 1, tokens=100) == 3
    assert need.rows(GIB, tokens=100) == 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _machine(root: Path, cgroup: str) -> None:
    _write(
        root / "proc/meminfo", "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   10485760 kB\n"
    )
    _write(root / "proc/self/cgroup", cgroup)


def test_without_limits_the_kernels_estimate_counts(tmp_path: Path) -> None:
    _machine(tmp_path, "0::/\n")
    assert free_memory("cpu", tmp_path) == 10 * GIB


def test_unified_control_groups_limit_from_the_leaf_to_the_root(tmp_path: Path) -> None:
    _machine(tmp_path, "0::/outer/inner\n")
    groups = tmp_path / "sys/fs/cgroup"
    _write(groups / "outer/inner/memory.max", "max\n")
    _write(groups / "outer/inner/memory.current", f"{GIB}\n")
    _write(groups / "outer/memory.max", f"{4 * GIB}\n")
    _write(groups / "outer/memory.current", f"{3 * GIB}\n")
    _write(groups / "outer/memory.stat", f"anon 5\ninactive_file {GIB}\nactive_file 7\n")
    assert free_memory("cpu", tmp_path) == 2 * GIB


def test_a_control_group_that_is_mounted_elsewhere_is_found_at_the_root(tmp_path: Path) -> None:
    _machine(tmp_path, "0::/system.slice/docker-abc.scope\n")
    _write(tmp_path / "sys/fs/cgroup/memory.max", f"{3 * GIB}\n")
    _write(tmp_path / "sys/fs/cgroup/memory.current", f"{GIB}\n")
    assert free_memory("cpu", tmp_path) == 2 * GIB


def test_memory_controller_of_the_first_version_limits(tmp_path: Path) -> None:
    _machine(tmp_path, "5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    group = tmp_path / "sys/fs/cgroup/memory/job"
    _write(group / "memory.limit_in_bytes", f"{6 * GIB}\n")
    _write(group / "memory.usage_in_bytes", f"{5 * GIB}\n")
    _write(group / "memory.stat", f"inactive_file 1\ntotal_inactive_file {2 * GIB}\n")
    assert free_memory("cpu", tmp_path) == 3 * GIB


def test_a_group_over_its_limit_leaves_nothing(tmp_path: Path) -> None:
    _machine(tmp_path, "0::/\n")
    _write(tmp_path / "sys/fs/cgroup/memory.max", f"{GIB}\n")
    _write(tmp_path / "sys/fs/cgroup/memory.current", f"{2 * GIB}\n")
    assert free_memory("cpu", tmp_path) == 0


def test_where_no_one_says_nothing_is_claimed(tmp_path: Path) -> None:
    assert free_memory("cpu", tmp_path) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_free_memory_of_a_gpu_shrinks_by_what_is_taken() -> None:
    before = free_memory("cuda")
    taken = torch.empty(GIB, dtype=torch.uint8, device="cuda")
    assert before is not None
    assert before - (free_memory("cuda") or 0) >= taken.numel()
