"""Writing in batches with a shared beginning, against a plain loop that reads all again for each token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from model.families.medversa_networks.generation import WritingRules, Written, write
from model.families.medversa_networks.key_values import GROWTH
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.prefill import PACK, Beginning, Prompt
from model.families.medversa_networks.sizes import DEMO

WORDS = 12
"""Few tokens, so that stop sequences and equal beginnings come up often."""
EVERY = frozenset(range(WORDS))
NEVER = ((-1,),)
FREE = WritingRules(NEVER, EVERY)
LIMIT = 6

texts = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=14).map(tuple)
stops = st.lists(st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=2).map(tuple), max_size=3).map(
    tuple
)
rules = st.builds(WritingRules, stops, st.frozensets(st.integers(0, WORDS - 1)))


@pytest.fixture(scope="module")
def network() -> MedVersaNetwork:
    sizes = replace(
        DEMO, vocabulary=WORDS, hidden=16, feed_forward=32, layers=2, heads=2, lora_rank=4, detection_hidden=8
    )
    torch.manual_seed(3)
    network = MedVersaNetwork(sizes).requires_grad_(False).eval()
    # LoRA starts as nothing; give it something to add.
    for name, parameter in network.llama.named_parameters():
        if "norm" not in name:
            parameter.normal_(std=0.5)
    return network


def prompts(network: MedVersaNetwork, many: Sequence[Sequence[int]], limit: int = LIMIT) -> list[Prompt]:
    return [Prompt(tuple(text), network.embed(torch.tensor(text)), limit) for text in many]


@torch.inference_mode()
def plainly(
    network: MedVersaNetwork, text: Sequence[int], rules: WritingRules, limit: int = LIMIT
) -> Written:
    """Read the whole text again for each token: no cache, no batch, no padding."""
    scores = network.logits(_states(network, text)[-1])
    written = Written(scores)
    while not written.complete and len(written.ids) < limit:
        probabilities = scores.softmax(0)
        token = int(probabilities.argmax())
        written.ids.append(token)
        written.probabilities.append(float(probabilities[token]))
        ends = [len(s) for s in rules.stop_sequences if tuple(written.ids[-len(s) :]) == s]
        written.complete = bool(ends)
        states = _states(network, [*text, *written.ids])
        scores = network.logits(states[-1])
    own = zip(written.ids, states[len(text) :], strict=True)
    written.states = [(token, state) for token, state in own if token in rules.tags]
    if ends:
        del written.ids[-max(ends) :]
    return written


def _states(network: MedVersaNetwork, ids: Sequence[int]) -> Tensor:
    embedded = network.embed(torch.tensor([list(ids)]))
    return network.read(embedded, torch.ones(1, len(ids), dtype=torch.long))[0][0]


def assert_same(found: Written, expected: Written) -> None:
    assert found.ids == expected.ids
    assert found.complete == expected.complete
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
    torch.testing.assert_close(found.first_logits, expected.first_logits, atol=1e-4, rtol=1e-4)
    assert [tag for tag, _ in found.states] == [tag for tag, _ in expected.states]
    for (_, state), (_, expected_state) in zip(found.states, expected.states, strict=True):
        torch.testing.assert_close(state, expected_state, atol=1e-4, rtol=1e-4)


@dataclass
class Count:
    """How much the language model was given to read."""

    shapes: list[tuple[int, int]]

    @property
    def positions(self) -> int:
        return sum(rows * length for rows, length in self.shapes)


@contextmanager
def counted(network: MedVersaNetwork) -> Iterator[Count]:
    count = Count([])

    def note(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        count.shapes.append((given[0].shape[0], given[0].shape[1]))

    hook = network.llama.model.layers[0].register_forward_pre_hook(note)
    try:
        yield count
    finally:
        hook.remove()


# Batches


@settings(deadline=None, max_examples=40)
@given(many=st.lists(st.tuples(texts, st.integers(1, 9)), min_size=1, max_size=6), rules=rules)
def test_batch_writes_what_the_plainest_loop_writes(
    network: MedVersaNetwork, many: list[tuple[tuple[int, ...], int]], rules: WritingRules
) -> None:
    together = write(network, [p for text, n in many for p in prompts(network, [text], n)], rules)
    for (text, limit), found in zip(many, together, strict=True):
        assert_same(found, plainly(network, text, rules, limit))


def test_long_answers_outgrow_the_room_made_at_first(network: MedVersaNetwork) -> None:
    many, limit = [(1, 2, 3), (4,)], 2 * GROWTH + 3
    for text, found in zip(many, write(network, prompts(network, many, limit), FREE), strict=True):
        assert_same(found, plainly(network, text, FREE, limit))


def test_greedy_writing_is_what_transformers_generates(network: MedVersaNetwork) -> None:
    texts = [(1, 2, 3), (3, 2, 1, 5), (7,)]
    for text, found in zip(texts, write(network, prompts(network, texts), FREE), strict=True):
        generated = network.llama.generate(
            inputs_embeds=network.embed(torch.tensor([text])),
            attention_mask=torch.ones(1, len(text), dtype=torch.long),
            do_sample=False,
            max_new_tokens=LIMIT,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert generated[0].tolist() == found.ids


def test_answers_that_are_done_leave_the_batch(network: MedVersaNetwork) -> None:
    """Each answer costs one position per token that it needs read, however long its company writes."""
    many = [(n, 2 * n % WORDS, 5) for n in range(WORDS)]
    stopping = replace(FREE, stop_sequences=((3,), (8,)), tags=frozenset())
    lengths = [len(w.probabilities) for w in write(network, prompts(network, many, limit=20), stopping)]
    assert len(set(lengths)) > 2, "the case must have answers of several lengths"
    with counted(network) as count:
        write(network, prompts(network, many, limit=20), stopping)
    assert sum(rows for rows, length in count.shapes[1:]) == sum(n - 1 for n in lengths)


# Limits and ends


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_token_limit_holds_exactly(network: MedVersaNetwork, limit: int) -> None:
    for answer in write(network, prompts(network, [(1, 2), (5,)], limit), FREE):
        assert len(answer.ids) == len(answer.probabilities) == limit
        assert not answer.complete


def test_end_mark_stops_and_is_not_part_of_the_answer(network: MedVersaNetwork) -> None:
    (unbound,) = write(network, prompts(network, [(1, 2, 3)]), FREE)
    stop = tuple(unbound.ids[2:4])
    first = next(n for n in range(1, 6) if tuple(unbound.ids[n - 1 : n + 1]) == stop)
    (bound,) = write(network, prompts(network, [(1, 2, 3)]), replace(FREE, stop_sequences=(stop,)))
    assert bound.complete
    assert bound.ids == unbound.ids[: first - 1]
    assert bound.probabilities == pytest.approx(unbound.probabilities[: first + 1])


def test_state_of_a_tag_is_computed_from_the_tag_itself(network: MedVersaNetwork) -> None:
    """Every token counts as a tag, so also the last one, after which nothing is written."""
    (answer,) = write(network, prompts(network, [(1, 2, 3)]), FREE)
    assert [tag for tag, _ in answer.states] == answer.ids
    assert len(answer.ids) == LIMIT
    expected = _states(network, [1, 2, 3, *answer.ids])[3:]
    torch.testing.assert_close(
        torch.stack([state for _, state in answer.states]), expected, atol=1e-4, rtol=0
    )


def test_prompts_too_long_for_one_row_are_read_in_several(network: MedVersaNetwork) -> None:
    drawn = torch.Generator().manual_seed(1)
    stem = (1, 2, 3)
    many = [
        (*stem, *torch.randint(WORDS, (length,), generator=drawn).tolist())
        for length in (PACK - 9, 20, 5, PACK, 3)
    ]
    with counted(network) as count:
        found = write(network, prompts(network, many, limit=1), replace(FREE, tags=frozenset()))
    assert len(count.shapes) == 4
    assert count.positions == sum(map(len, many)) - 4 * len(stem)
    for text, answer in zip(many, found, strict=True):
        assert_same(answer, plainly(network, text, replace(FREE, tags=frozenset()), limit=1))


# What prompts begin with


@settings(deadline=None, max_examples=40)
@given(
    stem=texts,
    calls=st.lists(
        st.lists(st.tuples(st.integers(0, 14), texts), min_size=1, max_size=2), min_size=2, max_size=3
    ),
)
def test_what_earlier_prompts_left_changes_no_answer(
    network: MedVersaNetwork, stem: tuple[int, ...], calls: list[list[tuple[int, tuple[int, ...]]]]
) -> None:
    kept = Beginning()
    for call in calls:
        many = [(*stem[:cut], *rest) for cut, rest in call]
        for text, found in zip(
            many, write(network, prompts(network, many, limit=3), FREE, kept), strict=True
        ):
            assert_same(found, plainly(network, text, FREE, limit=3))


def test_common_beginning_is_read_once_in_all(network: MedVersaNetwork) -> None:
    stem, rests = (1, 2, 3, 4, 5, 6, 7), [(8,), (9, 10), (11, 0, 1)]
    first, second = [
        prompts(network, [(*stem, *rest) for rest in part], limit=1) for part in (rests[:2], rests[1:])
    ]
    once, kept = replace(FREE, tags=frozenset()), Beginning()
    with counted(network) as count:
        write(network, first, once, kept)
        assert count.positions == len(stem) + 1 + 2
        write(network, second, once, kept)
        assert count.positions == len(stem) + 1 + 2 + 2 + 3
    assert kept.keys == stem


def test_failed_reading_leaves_nothing_that_is_not_true(network: MedVersaNetwork) -> None:
    kept = Beginning()
    write(network, prompts(network, [(1, 2, 3), (1, 2, 4)]), FREE, kept)
    (sound,) = prompts(network, [(1, 5, 6)])
    too_wide = torch.cat([sound.embedded, sound.embedded], dim=1)
    with pytest.raises(RuntimeError):
        write(network, [replace(sound, embedded=too_wide)], FREE, kept)
    (found,) = write(network, prompts(network, [(1, 2, 3)]), FREE, kept)
    assert_same(found, plainly(network, (1, 2, 3), FREE))


# Drawing

DRAWN = replace(FREE, temperature=1.0, top_p=0.8, seed=5)


def test_same_seed_same_text_in_any_company(network: MedVersaNetwork) -> None:
    many = prompts(network, [(1, 2, 3), (4, 5), (6,)])
    together = [answer.ids for answer in write(network, many, DRAWN)]
    assert together == [answer.ids for answer in write(network, many, DRAWN)]
    assert together == [write(network, [one], DRAWN)[0].ids for one in many]


def test_seeds_differ(network: MedVersaNetwork) -> None:
    seen = {
        tuple(write(network, prompts(network, [(1, 2, 3)]), replace(DRAWN, seed=seed))[0].ids)
        for seed in range(10)
    }
    assert len(seen) > 2


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_only_tokens_that_transformers_would_draw_are_drawn(
    network: MedVersaNetwork, temperature: float
) -> None:
    (greedy,) = write(network, prompts(network, [(1, 2, 3)]), FREE)
    scores = TemperatureLogitsWarper(temperature)(torch.tensor([[0]]), greedy.first_logits[None].clone())
    left = TopPLogitsWarper(0.8)(torch.tensor([[0]]), scores)[0]
    drawing = replace(DRAWN, temperature=temperature)
    tokens = [
        write(network, prompts(network, [(1, 2, 3)], limit=1), replace(drawing, seed=seed))[0].ids[0]
        for seed in range(50)
    ]
    assert set(tokens) <= set(left.isfinite().nonzero()[:, 0].tolist())
    drawn = torch.bincount(torch.tensor(tokens), minlength=WORDS) / len(tokens)
    torch.testing.assert_close(drawn, left.softmax(0), atol=0.2, rtol=0)


def test_narrow_draw_is_greedy(network: MedVersaNetwork) -> None:
    many = prompts(network, [(1, 2, 3), (4, 5)])
    narrow = replace(DRAWN, top_p=1e-9)
    assert [a.ids for a in write(network, many, narrow)] == [a.ids for a in write(network, many, FREE)]
