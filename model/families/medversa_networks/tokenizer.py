"""Text to token ids and back, for a vocabulary that ends in MedVersa's five added tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Self

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

IMAGE = "<ImageHere>"
NOT_AVAILABLE = "<N/A>"
ADDED_TOKENS = (IMAGE, "<DET>", "<2DSEG>", "<3DSEG>", NOT_AVAILABLE)
"""In the released order; they take the last five ids."""

BEGIN = "<s>"
END = "</s>"
END_MARK = "###"


@dataclass(frozen=True, slots=True, eq=False)
class MedVersaTokenizer:
    """A tokenizer of any kind that ends in the five added tokens; no text is unknown to it."""

    tokenizer: Tokenizer
    begin: int
    image: int
    stop_sequences: tuple[tuple[int, ...], ...]
    """An answer ends when its last ids equal one of these; the first is how training ends one."""
    tags: dict[int, str]
    """Ids that call a vision module."""
    _added: frozenset[int]
    _drops_space: bool
    """Whether space beside an added token is dropped and each chunk begins with its own, as in Llama."""

    @classmethod
    def from_tokenizer(cls, tokenizer: Tokenizer) -> Self:
        """Wrap a trained tokenizer.

        Raises:
            ValueError: the five added tokens are not its last five ids.
        """
        size = tokenizer.get_vocab_size()
        ids = range(size - len(ADDED_TOKENS), size)
        found = [tokenizer.token_to_id(token) for token in ADDED_TOKENS]
        begin = tokenizer.token_to_id(BEGIN)
        if found != list(ids) or begin is None:
            raise ValueError(f"added tokens have ids {found} in a vocabulary of {size}, {BEGIN} has {begin}")
        return cls(
            tokenizer,
            begin=begin,
            image=ids[0],
            stop_sequences=_stop_sequences(tokenizer),
            tags=dict(zip(ids[1:4], ADDED_TOKENS[1:4], strict=True)),
            _added=frozenset(ids),
            _drops_space=tokenizer.encode(f"a {IMAGE}").ids == tokenizer.encode(f"a{IMAGE}").ids,
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        return cls.from_tokenizer(Tokenizer.from_file(str(path)))

    def encode(self, text: str) -> list[int]:
        """Tokenise a whole chunk of the prompt; two chunks are not the same as their text in one."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Put ids into text.

        A tokenizer that drops space beside an added token gets it back where a word would touch the token.
        """
        runs = groupby(ids, key=self._added.__contains__)
        parts = [self.tokenizer.decode(list(run), skip_special_tokens=False) for _, run in runs]
        if not self._drops_space:
            return "".join(parts)
        joined = "".join(parts[:1])
        for before, part in pairwise(parts):
            word = before[-1:].isalnum() or part[:1].isalnum()
            joined += f" {part}" if word else part
        return joined

    def first_ids(self, words: Iterable[str]) -> tuple[int, ...]:
        """Ids with which an answer begins, as training teaches, whose text begins with one of `words`."""
        begun = [self._without_space(self.answer(word)) for word in words]
        return tuple(sorted({ids[0] for ids in begun if ids}))

    def answer(self, text: str) -> list[int]:
        """Tokenise an answer as it follows the prompt: after one space, without the end mark."""
        return self.encode(text if self._drops_space else f" {text}")

    def _without_space(self, ids: list[int]) -> list[int]:
        """Drop pieces in front that are nothing but space."""
        blank = next((n for n, i in enumerate(ids) if self.tokenizer.decode([i]).strip()), len(ids))
        return ids[blank:]


def _stop_sequences(tokenizer: Tokenizer) -> tuple[tuple[int, ...], ...]:
    """The end mark after a sentence and on its own, and the end of all text where there is a token for it."""

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    after_sentence = ids(f".{END_MARK}")[len(ids(".")) :]
    end = tokenizer.token_to_id(END)
    found = [tuple(after_sentence), tuple(ids(END_MARK)), *([(end,)] if end is not None else [])]
    return tuple(dict.fromkeys(found))


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a byte-level vocabulary of at most `vocabulary` ids, the added tokens included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    whole = [BEGIN, END_MARK, "</img", "<img", "Human:", "Assistant:"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(ADDED_TOKENS),
        special_tokens=whole,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in ADDED_TOKENS])
    return tokenizer
