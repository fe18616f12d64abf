"""Several processes that train one network, each on its part of every batch; gradients are averaged.

Networks as small as the demonstration's gain nothing from a second thread on a CPU (a step takes longer), and
nearly everything from a second process.
"""

import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import start_processes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes; the first writes files and shows progress."""

    number: int = 0
    of: int = 1

    @property
    def leads(self) -> bool:
        return self.number == 0

    def part(self, batch: Sequence[T]) -> Sequence[T]:
        """Take this process's share of a batch that all have drawn alike."""
        return batch[self.number :: self.of]

    def share(self, n: int) -> int:
        """How many of `n` are this process's."""
        return max(n // self.of, 1)

    def generator(self, seed: int, step: int) -> torch.Generator:
        """Random numbers of one step, others in each process."""
        return torch.Generator().manual_seed((seed + step) * self.of + self.number)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the gradients of all processes; what one of them did not use counts as 0 there."""
        if self.of == 1:
            return
        taught = list(parameters)
        for parameter, gradient in zip(taught, self.added([_gradient(p) for p in taught]), strict=True):
            parameter.grad = gradient / self.of

    def added(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Add up what all processes hold, tensor by tensor."""
        if self.of == 1 or not tensors:
            return tensors
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def meet(self) -> None:
        """Wait until all processes are here."""
        if self.of > 1:
            distributed.barrier()


ALONE = Rank()


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


@contextmanager
def gathered(ranks: int, follow: Callable[[Rank], None]) -> Generator[Rank]:
    """Start the other processes, each of which calls `follow`; the caller is the first of them.

    Raises:
        RuntimeError: in the call that meets next, when another process has ended before its time.
    """
    if ranks == 1:
        yield Rank()
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        others = start_processes(
            _follow, (follow, ranks, str(meeting)), nprocs=ranks - 1, join=False, start_method="spawn"
        )
        rank = _join(0, ranks, str(meeting))
        try:
            yield rank
            rank.meet()
        finally:
            distributed.destroy_process_group()
        if others is not None:
            others.join()


def _follow(index: int, follow: Callable[[Rank], None], ranks: int, meeting: str) -> None:
    rank = _join(index + 1, ranks, meeting)
    follow(rank)
    rank.meet()
    distributed.destroy_process_group()


def _join(number: int, ranks: int, meeting: str) -> Rank:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=ranks)
    return Rank(number, ranks)
