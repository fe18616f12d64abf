"""Greedy writing in batches that keeps the hidden state of every tag."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from model.families.medversa_networks.network import MedVersaNetwork


@dataclass(slots=True, eq=False)
class Written:
    """One answer while it is being written."""

    first_logits: Tensor
    """(vocabulary,): scores of the first token."""
    ids: list[int] = field(default_factory=list)
    states: list[tuple[int, Tensor]] = field(default_factory=list)
    """(tag id, (hidden,)) of every tag in order: the state computed *from* the tag, not what foretold it."""
    complete: bool = False


@dataclass(frozen=True, slots=True)
class WritingRules:
    """When to stop and what to keep."""

    stop_sequences: tuple[tuple[int, ...], ...]
    tags: frozenset[int]
    limit: int
    """Most tokens of one answer."""


def left_padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack (L_b, hidden) rows to (B, L, hidden), padded in front, with the (B, L) mask of real positions."""
    length = max(len(row) for row in rows)
    embedded = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.long, device=rows[0].device)
    for b, row in enumerate(rows):
        embedded[b, length - len(row) :] = row
        mask[b, length - len(row) :] = 1
    return embedded, mask


@torch.inference_mode()
def write(network: MedVersaNetwork, rows: list[Tensor], rules: WritingRules) -> list[Written]:
    """Continue each embedded row (L_b, hidden) with the likeliest tokens until its end mark or the limit."""
    embedded, mask = left_padded(rows)
    cache = DynamicCache(config=network.llama.config)
    states, _ = network.read(embedded, mask, cache)
    scores = network.logits(states[:, -1])
    answers = [Written(first_logits=row) for row in scores]
    for _ in range(rules.limit):
        chosen = scores.argmax(-1)
        for answer, token in zip(answers, chosen.tolist(), strict=True):
            _append(answer, token, rules)
        if all(answer.complete and not _awaits_state(answer, rules) for answer in answers):
            break
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        states, _ = network.read(network.embed(chosen[:, None]), mask, cache)
        for answer, state in zip(answers, states[:, -1], strict=True):
            if _awaits_state(answer, rules):
                answer.states.append((answer.ids[-1], state))
        scores = network.logits(states[:, -1])
    for answer in answers:
        _strip_end(answer, rules)
    return answers


def _append(answer: Written, token: int, rules: WritingRules) -> None:
    if answer.complete:
        return
    answer.ids.append(token)
    answer.complete = any(tuple(answer.ids[-len(stop) :]) == stop for stop in rules.stop_sequences)


def _awaits_state(answer: Written, rules: WritingRules) -> bool:
    """Whether the newest token is a tag whose own state is not known yet."""
    return (
        bool(answer.ids)
        and answer.ids[-1] in rules.tags
        and sum(i in rules.tags for i in answer.ids) > len(answer.states)
    )


def _strip_end(answer: Written, rules: WritingRules) -> None:
    for stop in rules.stop_sequences:
        if answer.complete and tuple(answer.ids[-len(stop) :]) == stop:
            del answer.ids[-len(stop) :]
            return
