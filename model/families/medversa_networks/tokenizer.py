"""Text to token ids and back, for a vocabulary that ends in MedVersa's five added tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

IMAGE = "<ImageHere>"
NOT_AVAILABLE = "<N/A>"
ADDED_TOKENS = (IMAGE, "<DET>", "<2DSEG>", "<3DSEG>", NOT_AVAILABLE)
"""In the released order; they take the last five ids."""

BEGIN = "<s>"
END_MARK = "###"


@dataclass(frozen=True, slots=True, eq=False)
class MedVersaTokenizer:
    """A byte-level BPE tokenizer: no text is unknown to it, and decoding returns it to the letter."""

    tokenizer: Tokenizer
    begin: int
    image: int
    stop_sequences: tuple[tuple[int, ...], ...]
    """An answer ends when its last ids equal one of these."""
    tags: dict[int, str]
    """Ids that call a vision module."""

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
            stop_sequences=(tuple(tokenizer.encode(END_MARK).ids),),
            tags=dict(zip(ids[1:4], ADDED_TOKENS[1:4], strict=True)),
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        return cls.from_tokenizer(Tokenizer.from_file(str(path)))

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(ids), skip_special_tokens=False)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a vocabulary of at most `vocabulary` ids, the added tokens included."""
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
