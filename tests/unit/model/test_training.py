"""Training learns from phantoms' truth, can be interrupted, and says what it made."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from model.errors import WeightsError
from model.families.medversa_networks.sizes import DEMO
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.questions import Form
from model.reading import ChangeStatus, Laterality, Modality, Task
from model.registry import load_family
from model.training.datasets.case_files import Case, read_cases, write_cases
from model.training.datasets.phantoms import Shard, shards_of
from model.training.demo_weights import demonstration, plan_of, write_demo_weights, write_figures
from model.training.devices import mixed_precision
from model.training.examination import (
    area_under_curve,
    best_temperature,
    box_overlap,
    boxes_by_name,
    f1,
)
from model.training.finetune import DemoPlan, DemoTraining
from model.training.instruction import Instruction
from model.training.language_lessons import Hearing, SeenPictures, batch_of, lesson_of
from model.training.losses import IGNORED
from model.training.mixtures import MixturePlan, compare_mixtures
from model.training.phantoms.truth import (
    AbdomenCase,
    ChangeTruth,
    ChestCase,
    ChestView,
    FindingTruth,
    ForeignCase,
    SkinCase,
)
from model.training.planar_pool import MASK_SIDE, SLOTS, moved_truth, pool_of, slots_of, windowed_boxes
from model.training.sampling import TaskSampler
from model.training.segmentation_lessons import recovered_vectors
from model.training.stages import Stage, rate_at, run_stage
from model.training.volume_pool import volume_pool_of
from model.weights import read_config, write_config
from model.weights_commands import weights

TINY = replace(
    DEMO,
    swin_embed=8,
    swin_depths=(1, 1, 1),
    swin_heads=(1, 1, 2),
    volume_grid=(32, 96, 96),  # torch mistakes bfloat16 gradients of smaller convolutions
    unet3d_widths=(4, 4, 8, 8, 8),
    unet3d_groups=2,
    segmentation_size=64,
    unet2d_width=4,
    unet2d_decoder=(8, 8, 8, 4, 4),
    unet2d_groups=2,
    hidden=16,
    feed_forward=32,
    layers=1,
    heads=2,
    vocabulary=700,
    lora_rank=4,
    detection_hidden=8,
    max_new_tokens=4,
)
NODULE = FindingTruth("lung nodule", Laterality.RIGHT, "upper", 0.5, (0.25, 0.25, 0.5, 0.5), 3.0)


def _view(seed: int, findings: tuple[FindingTruth, ...] = (NODULE,)) -> ChestView:
    side = 64
    lung = np.zeros((side, side), bool)
    lung[10:50, 5:25] = True
    masks = {"right lung": lung, "left lung": lung[:, ::-1].copy(), "heart": np.roll(lung, 20, 1)}
    boxes = {"heart": (0.4, 0.5, 0.7, 0.8), "right lung": (0.1, 0.15, 0.4, 0.8)}
    pixels = np.random.default_rng(seed).random((side, side), np.float32)
    return ChestView(pixels, masks, boxes, findings, (1.0, 1.0), "PA")


def _cases() -> list[Case]:
    change = ChangeTruth("lung nodule", Laterality.RIGHT, "upper", ChangeStatus.NEW)
    voxels = np.random.default_rng(0).normal(0, 100, (20, 24, 28)).astype(np.float32)
    organ = np.zeros(voxels.shape, bool)
    organ[4:16, 6:18, 6:18] = True
    red = np.random.default_rng(1).random((40, 50, 3), np.float32)
    return [
        ChestCase(0, _view(0), _view(1, ()), 30, (change,)),
        ChestCase(1, _view(2), None, 0, ()),
        SkinCase(2, red, red[..., 0] > 0.5, "melanoma"),
        ForeignCase(3, red[..., 0], "noise"),
        AbdomenCase(4, voxels, np.diag([3.0, 1, 1, 1]), {"liver": organ}),
    ]


# Case files


def test_cases_come_back_from_their_file(tmp_path: Path) -> None:
    cases = _cases()
    write_cases(tmp_path / "a.npz", cases)
    for case, back in zip(cases, read_cases(tmp_path / "a.npz"), strict=True):
        assert type(case) is type(back)
        assert case.seed == back.seed
    chest, back = cases[0], read_cases(tmp_path / "a.npz")[0]
    assert isinstance(chest, ChestCase)
    assert isinstance(back, ChestCase)
    assert back.changes == chest.changes
    assert back.current.findings == chest.current.findings
    assert back.current.boxes == chest.current.boxes
    np.testing.assert_array_equal(back.current.masks["heart"], chest.current.masks["heart"])
    np.testing.assert_allclose(back.current.pixels, chest.current.pixels, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("tiles", [True, False])
def test_half_precision_only_where_the_cpu_multiplies_tiles(
    tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": tiles})
    ones = torch.ones(2, 2)
    with mixed_precision(torch.device("cpu")):
        assert (ones @ ones).dtype == (torch.bfloat16 if tiles else torch.float32)


def test_unfinished_file_is_not_taken_for_a_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[Case]:
        yield _cases()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cases(tmp_path / "a.npz", failing())
    assert not (tmp_path / "a.npz").exists()


def test_shards_cover_each_seed_once() -> None:
    covered = [s.first_seed + n for s in shards_of("skin", 7, 120) for n in range(s.cases)]
    assert covered == list(range(7, 127))
    assert shards_of("skin", 0, 120)[-1] == Shard("skin", 100, 20)


# Pools


def test_finding_takes_its_place_and_a_bilateral_one_takes_both() -> None:
    assert [SLOTS[n] for n in slots_of(NODULE)] == [("lung nodule", Laterality.RIGHT, "upper")]
    both = replace(NODULE, label="pleural effusion", laterality=Laterality.BILATERAL, zone=None)
    assert [SLOTS[n][1] for n in slots_of(both)] == [Laterality.RIGHT, Laterality.LEFT]


def test_boxes_and_masks_move_with_their_window() -> None:
    pool = pool_of([_view(0)])
    window = torch.tensor([[0.5, 0.5, -0.5, -0.5]])  # the top left quarter, enlarged
    truth = moved_truth(pool.truth.picked(torch.tensor([0])), window, MASK_SIDE)
    slot = slots_of(NODULE)[0]
    torch.testing.assert_close(truth.slot_boxes[0, slot], torch.tensor([0.5, 0.5, 1.0, 1.0]))
    right = truth.masks[0, 1].bool()
    rows, columns = right.any(1).nonzero(), right.any(0).nonzero()
    # rows 10 to 50 and columns 5 to 25 of 64 are rows 20 to 64 and columns 10 to 50 of the quarter
    assert rows.min().item() == pytest.approx(MASK_SIDE * 20 / 64, abs=1)
    assert columns.max().item() == pytest.approx(MASK_SIDE * 50 / 64, abs=1)


def test_still_window_leaves_boxes_alone() -> None:
    boxes = torch.rand(1, 3, 4)
    torch.testing.assert_close(windowed_boxes(boxes, torch.tensor([[1.0, 1.0, 0.0, 0.0]])), boxes)


def test_volume_pool_shows_what_serving_shows() -> None:
    case = _cases()[-1]
    assert isinstance(case, AbdomenCase)
    pool = volume_pool_of([case])
    voxels, labels = pool.whole(0, (10, 12, 14))
    assert voxels.shape == (1, 10, 12, 14)
    liver = np.argwhere(labels.numpy() == 1)
    # k 4..15 of 20, i 6..17 of 28, j 6..17 of 24, at end-aligned nearest places of 10 x 12 x 14
    picks = [np.floor(np.arange(n) * (m - 1) / (n - 1) + 0.5) for m, n in ((20, 10), (28, 12), (24, 14))]
    expected = [
        np.flatnonzero((p >= lo) & (p < hi)) for p, lo, hi in zip(picks, (4, 6, 6), (16, 18, 18), strict=True)
    ]
    assert [sorted(set(axis)) for axis in liver.T] == [e.tolist() for e in expected]


# Sampling and lessons


def _instruction(modality: Modality, task: Task, answer: str = "Yes.") -> Instruction:
    return Instruction(modality, task, Form.BINARY, ("current",), "Is it so?", answer)


def test_batches_are_homogeneous_and_follow_weights() -> None:
    kinds = [(Modality.CXR, Task.REPORT), (Modality.CXR, Task.COMPARISON), (Modality.CT, Task.SEGMENTATION)]
    instructions = [_instruction(*kind) for kind in kinds for _ in range(10)]
    sampler = TaskSampler(instructions, {kinds[0]: 6.0, kinds[1]: 3.0, kinds[2]: 1.0}, seed=1)
    drawn = Counter()
    for step in range(600):
        batch = sampler.draw(step, 4)
        (kind,) = {(instructions[n].modality, instructions[n].task) for n in batch}
        drawn[kind] += 1
    assert [drawn[k] / 600 for k in kinds] == pytest.approx([0.6, 0.3, 0.1], abs=0.06)
    assert sampler.draw(5, 4) == sampler.draw(5, 4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoPlan, Path]:
    """Two steps of every stage on five cases, and the weights that they make."""
    run = tmp_path_factory.mktemp("run")
    plan = DemoPlan(
        seed=0,
        cases={"chest": 5},
        steps=dict.fromkeys(DemoPlan().steps, 2),
        encoder_batch=4,
        language_batch=2,
        picture_variants=2,
        volume_variants=2,
        tellings=1,
        sizes=TINY,
    )
    (run / "cases").mkdir()
    (shard,) = plan.shards()
    write_cases(shard.file(run / "cases"), _cases())
    network, tokenizer = DemoTraining(plan, run).run(workers=1)
    write_demo_weights(network, tokenizer, plan, run / "weights")
    return plan, run


def test_training_makes_weights_that_answer(trained: tuple[DemoPlan, Path]) -> None:
    _, run = trained
    family = load_family(str(run / "weights"))
    assert family.identity.demo_weights
    assert family.identity.name == "medversa-demo"
    assert read_config(run / "weights").training["data"] == "generated phantoms only"


def test_finished_run_is_only_loaded(trained: tuple[DemoPlan, Path]) -> None:
    plan, run = trained
    told: list[str] = []
    again, _ = DemoTraining(plan, run, lambda stage, *_: told.append(stage)).run(workers=1)
    assert set(told) == {"cases"}
    saved = load_family(str(run / "weights"))
    expected = saved.network.state_dict()  # pyright: ignore[reportAttributeAccessIssue]  # a MedVersaFamily
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor.half().to(tensor.dtype), expected[name], atol=0, rtol=0)


def test_training_goes_on_from_weights_and_keeps_their_eyes(trained: tuple[DemoPlan, Path]) -> None:
    plan, run = trained
    before = demonstration(str(run / "weights"))
    start = demonstration(str(run / "weights"))
    network, tokenizer = DemoTraining(plan, run).go_on(start, workers=1)
    write_demo_weights(network, tokenizer, plan, run / "on", started_from=before.identity)
    after = demonstration(str(run / "on"))
    changed = {
        name.split(".")[0]
        for name, tensor in after.network.state_dict().items()
        if not torch.equal(tensor, before.network.state_dict()[name])
    }
    speaking = {"llama_model", "llama_proj_2d", "llama_proj_3d", "text_det", "text2seg_2d", "text2seg_3d"}
    assert {"llama_model", "text2seg_2d"} <= changed <= speaking
    assert after.tokenizer.encode("lung nodule") == before.tokenizer.encode("lung nodule")
    notes = read_config(run / "on").training
    assert notes["started_from"]["weights_sha256"] == before.identity.weights_sha256
    assert set(notes["plan"]["steps"]) == {"language_on", "hearing_2d", "hearing_3d"}


def test_two_processes_go_on_together(trained: tuple[DemoPlan, Path], tmp_path: Path) -> None:
    plan, run = trained
    start = demonstration(str(run / "weights"))
    before = start.network.llama_proj_2d.weight.detach().clone()
    copytree(run / "cases", tmp_path / "cases")
    network, _ = DemoTraining(plan, tmp_path).go_on(start, workers=2)
    assert not torch.equal(network.llama_proj_2d.weight, before)


def test_training_goes_on_from_demonstration_weights_only(
    trained: tuple[DemoPlan, Path], tmp_path: Path
) -> None:
    _, run = trained
    other = copytree(run / "weights", tmp_path / "other")
    write_config(other, replace(read_config(other), demo_weights=False))
    with pytest.raises(WeightsError, match="demonstration weights"):
        demonstration(str(other))


def test_mixtures_share_their_eyes_and_are_asked_about_their_own_tasks(
    trained: tuple[DemoPlan, Path], tmp_path: Path
) -> None:
    _, run = trained
    here = copytree(run, tmp_path / "run")
    plan = replace(plan_of(here / "weights"), steps=dict.fromkeys(DemoPlan().steps, 2))
    table = compare_mixtures(MixturePlan(here, plan, workers=1, limit=1))
    assert table.columns[2:] == ("all tasks", "vision tasks", "language tasks")
    shown = {(row[0], row[1]): [cell != "–" for cell in row[2:]] for row in table.rows}
    assert shown["segmentation", "Dice, lungs and heart"] == [True, True, False]
    assert shown["visual question answering", "accuracy, all questions"] == [True, False, True]
    before = demonstration(str(here / "weights")).network.visual_encoder_2d.state_dict()
    for mixture in ("all-tasks", "vision-tasks", "language-tasks"):
        after = demonstration(str(here / "compare" / mixture / "weights")).network
        for name, tensor in after.visual_encoder_2d.state_dict().items():
            assert torch.equal(tensor, before[name])


def test_mixtures_need_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="encoder_2d"):
        compare_mixtures(MixturePlan(tmp_path, DemoPlan(), workers=1))


def test_structures_are_recovered_from_what_their_tags_say() -> None:
    text = nn.Linear(3, 2)
    states = torch.tensor([[1.0, 0, 0], [3, 0, 0], [0, 1, 0]])
    vectors = recovered_vectors(text, states, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(vectors.weight[0], text(torch.tensor([2.0, 0, 0])))
    torch.testing.assert_close(vectors.weight[2], text(torch.tensor([0.0, 1, 0])))
    assert not vectors.weight.requires_grad
    loss = Hearing(text, vectors).loss(states, torch.tensor([0, 0, 2]))
    loss.backward()
    assert text.weight.grad is not None


def test_figures_and_card_are_written_and_called_not_clinical(trained: tuple[DemoPlan, Path]) -> None:
    _, run = trained
    figures = write_figures(run / "weights", _cases()[:1], _cases())
    assert {
        "auc lung nodule",
        "dice heart",
        "dice liver",
        "dice skin lesion",
        "skin accuracy",
        "vqa presence",
        "region caption exact",
        "unseen request cxr report",
        "unseen request ct segmentation",
    } <= figures.keys()
    assert read_config(run / "weights").evaluation == figures
    assert "not clinical" in (run / "weights" / "MODEL_CARD.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(weights, ["info", str(run / "weights")])
    assert shown.exit_code == 0, shown.output
    assert "medversa-demo" in shown.output


def test_only_the_answer_is_taught(trained: tuple[DemoPlan, Path]) -> None:
    _, run = trained
    tokenizer = MedVersaTokenizer.from_file(run / "tokenizer.json")
    told = [_instruction(Modality.CXR, Task.CLASSIFICATION, a) for a in ("Yes.", "No finding at all.")]
    lessons = [lesson_of(i, (0,), tokenizer, 9) for i in told]
    as_served = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    seen = SeenPictures([torch.zeros(1, 9, 4)], as_served, pool_of([_view(0)]).truth)
    batch = batch_of(lessons, seen, torch.zeros(0), torch.Generator())
    for row, answer in zip(batch.labels, ("Yes.", "No finding at all."), strict=True):
        assert tokenizer.decode(row[row != IGNORED].tolist()) == f" {answer}###"
    assert (batch.ids == tokenizer.image).sum(1).tolist() == [9, 9]
    assert batch.mask.sum(1).tolist() == [len(lesson.ids) for lesson in lessons]


# Stages


def _stage(module: nn.Module, steps: int, keep_every: int = 2) -> Stage:
    return Stage("one", {"linear": module}, steps, peak_rate=0.05, keep_every=keep_every)


def _linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 1)


def test_interrupted_stage_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    def step_of(module: nn.Module, stop_at: int = 99) -> Callable[[int], dict[str, Tensor]]:
        def step(n: int) -> dict[str, Tensor]:
            if n == stop_at:
                raise KeyboardInterrupt
            x = torch.randn(4, 2, generator=torch.Generator().manual_seed(n))
            return {"square": (module(x) - x.sum(1, keepdim=True)).square().mean()}

        return step

    whole, broken, resumed = _linear(), _linear(), nn.Linear(2, 1)
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    run_stage(_stage(whole, 8), step_of(whole), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_stage(_stage(broken, 8), step_of(broken, 5), tmp_path / "broken")
    run_stage(_stage(resumed, 8), step_of(resumed), tmp_path / "broken")
    torch.testing.assert_close(resumed.weight, whole.weight, atol=1e-6, rtol=0)


def test_rate_warms_up_and_falls_to_a_hundredth() -> None:
    rates = [rate_at(n, 100, 1.0) for n in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.011


# Marks


def test_area_under_curve_counts_ties_half() -> None:
    # true 0.9 and 0.5 against false 0.5 and 0.1: above in 3 of 4, one tie
    assert area_under_curve([(0.9, True), (0.5, True), (0.5, False), (0.1, False)]) == 3.5 / 4
    assert f1([(0.9, True), (0.2, True), (0.6, False)]) == pytest.approx(0.5)


def test_temperature_cools_overconfidence() -> None:
    # three of four right at log-odds 4: the best probability is 3/4, log-odds ln 3
    pairs = [(1 / (1 + np.exp(-4)), True)] * 3 + [(1 / (1 + np.exp(-4)), False)]
    assert best_temperature(pairs) == pytest.approx(4 / np.log(3), rel=0.04)


def test_overlap_of_boxes() -> None:
    assert box_overlap((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)


def test_boxes_are_dealt_to_names_in_order() -> None:
    a, b, c = (0.0, 0, 1, 1), (0.0, 0, 2, 2), (0.0, 0, 3, 3)
    dealt = boxes_by_name("lung nodule,<DET>,<DET>.pneumothorax,<N/A>.heart,<DET>.", [a, b, c])
    assert dealt == {"lung nodule": [a, b], "pneumothorax": [], "heart": [c]}
