"""Writes answers token by token, a batch at once, and keeps the hidden state of every tag."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.prefill import Beginning, Prompt, open_prompts


@dataclass(frozen=True, slots=True)
class WritingRules:
    """How to choose tokens, when to stop and what to keep."""

    stop_sequences: tuple[tuple[int, ...], ...]
    """An answer ends when its last ids equal one of these."""
    tags: frozenset[int]
    temperature: float = 0.0
    """0 takes the likeliest token; above, scores are divided by it and a token is drawn."""
    top_p: float = 1.0
    """Draw among the likeliest tokens only: the fewest that together have this probability."""
    seed: int = 0
    """Of every answer's own random numbers, so that the other answers of a batch do not change one."""


@dataclass(slots=True, eq=False)
class Written:
    """One answer while it is being written."""

    first_logits: Tensor
    """(vocabulary,) float32: scores of the first token."""
    ids: list[int] = field(default_factory=list[int])
    probabilities: list[float] = field(default_factory=list[float])
    """Of each chosen token, that of the end mark too, as the model gave it (at temperature 1)."""
    states: list[tuple[int, Tensor]] = field(default_factory=list[tuple[int, Tensor]])
    """(tag id, (hidden,)) of every tag in order: the state computed *from* the tag, not what foretold it."""
    complete: bool = False


@dataclass(slots=True, eq=False)
class _Pen:
    """Writes one answer by the rules."""

    answer: Written
    limit: int
    rules: WritingRules
    chance: torch.Generator
    ended: bool = False
    """No token follows."""
    awaits_state: bool = False
    """The newest token is a tag whose own state is not known yet."""

    def append(self, token: int, probability: float) -> None:
        if self.ended:
            return
        answer, rules = self.answer, self.rules
        answer.ids.append(token)
        answer.probabilities.append(probability)
        answer.complete = self._stop() > 0
        self.ended = answer.complete or len(answer.ids) == self.limit
        self.awaits_state = token in rules.tags

    def keep(self, state: Tensor) -> None:
        if self.awaits_state:
            self.answer.states.append((self.answer.ids[-1], state))
            self.awaits_state = False

    @property
    def is_done(self) -> bool:
        return self.ended and not self.awaits_state

    def close(self) -> Written:
        """Take the end mark off."""
        if stop := self._stop():
            del self.answer.ids[-stop:]
        return self.answer

    def _stop(self) -> int:
        """Length of the stop sequence that the answer ends with, or 0."""
        ids = self.answer.ids
        return max((len(s) for s in self.rules.stop_sequences if tuple(ids[-len(s) :]) == s), default=0)


@torch.inference_mode()
def write(
    network: MedVersaNetwork,
    prompts: Sequence[Prompt],
    rules: WritingRules,
    beginning: Beginning | None = None,
) -> list[Written]:
    """Continue each prompt by the rules; answers that are done leave the batch.

    What `beginning` holds of the prompts is not computed again, and it then holds what these begin with.
    """
    rows, states = open_prompts(network, prompts, beginning or Beginning())
    scores = network.logits(states)
    pens = [
        _Pen(Written(row), prompt.limit, rules, torch.Generator().manual_seed(rules.seed))
        for row, prompt in zip(scores, prompts, strict=True)
    ]
    writing = pens
    while True:
        chosen = _chosen(scores, rules, [pen.chance for pen in writing])
        probabilities = scores.softmax(-1).gather(-1, chosen[:, None])[:, 0]
        for pen, token, probability in zip(writing, chosen.tolist(), probabilities.tolist(), strict=True):
            pen.append(token, probability)
        going_on = [n for n, pen in enumerate(writing) if not pen.is_done]
        if not going_on:
            return [pen.close() for pen in pens]
        if len(going_on) < len(writing):
            kept = torch.tensor(going_on, device=chosen.device)
            rows, chosen, writing = rows.only(kept), chosen[kept], [writing[n] for n in going_on]
        states = rows.read(network, chosen)
        for pen, state in zip(writing, states, strict=True):
            pen.keep(state)
        scores = network.logits(states)


def _chosen(scores: Tensor, rules: WritingRules, chances: Sequence[torch.Generator]) -> Tensor:
    """Choose the next token of each row of (B, vocabulary) scores."""
    if rules.temperature == 0:
        return scores.argmax(-1)
    probabilities, ids = (scores / rules.temperature).softmax(-1).sort(descending=True, stable=True)
    likely = probabilities.cumsum(-1) - probabilities < rules.top_p
    upto = (probabilities * likely).cumsum(-1)
    drawn = upto[:, -1:] * torch.cat([torch.rand(1, 1, generator=chance) for chance in chances]).to(upto)
    place = torch.searchsorted(upto, drawn, right=True).minimum(likely.sum(-1, keepdim=True) - 1)
    return ids.gather(-1, place)[:, 0]
