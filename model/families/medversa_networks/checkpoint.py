"""The tensors of a checkpoint under their published names, wherever and in whichever form they are stored."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.errors import WeightsError
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.released_keys import (
    EMBEDDING,
    HEAD,
    LANGUAGE,
    is_adapter,
    is_derived,
    published_name,
)
from model.precision import Precision
from model.quantized_layers import decoder_matrices, language_dtype, quantize_decoder
from model.tensor_files import Source, TensorFiles


@dataclass(slots=True, eq=False)
class Checkpoint:
    """Where each published tensor lies; nothing is read before it is asked for."""

    leftovers: list[str] = field(default_factory=list[str])
    """Tensors that are known to carry nothing and are not used."""
    base_is_whole: bool = False
    """Whether the language model is nothing but that of a folder that lies apart."""
    _places: dict[str, tuple[TensorFiles, str]] = field(default_factory=dict[str, tuple[TensorFiles, str]])

    def add(self, files: TensorFiles, rename: Callable[[str], str] = published_name) -> None:
        """Take the tensors of a directory of the checkpoint.

        Raises:
            WeightsError: two names of the same tensor are there with different values.
        """
        for stored in files:
            name = rename(stored)
            if is_derived(name):
                self.leftovers.append(stored)
            elif name not in self._places:
                self._places[name] = (files, stored)
            else:
                self._same(name, files, stored)

    def add_base(self, files: TensorFiles, rename: Callable[[str], str]) -> None:
        """Take a language model that lies apart; embeddings and head of the checkpoint itself win.

        The published model made both longer by five tokens, so a base without these cannot replace them.

        Raises:
            WeightsError: the checkpoint has other parts of the language model as well.
        """
        twice = sorted({rename(stored) for stored in files} & self._places.keys() - {EMBEDDING, HEAD})
        if twice:
            raise WeightsError(
                f"{len(twice)} tensors are in the checkpoint and in the base language model "
                f"(first: {twice[0]}): which are meant? Leave one out"
            )
        self.base_is_whole = not {EMBEDDING, HEAD} & self._places.keys()
        for stored in files:
            name = rename(stored)
            if is_derived(name):
                self.leftovers.append(stored)
            else:
                self._places.setdefault(name, (files, stored))

    def _same(self, name: str, files: TensorFiles, stored: str) -> None:
        first_files, first = self._places[name]
        if not torch.equal(first_files[first], files[stored]):
            raise WeightsError(f"{first} and {stored} are two names of one tensor, but their values differ")
        self.leftovers.append(stored)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor by its published name."""
        return {name: files.shape(stored) for name, (files, stored) in self._places.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def stored_name(self, name: str) -> str:
        """The name that a tensor has in its file."""
        return self._places[name][1]

    def tensor(self, name: str) -> Tensor:
        """Map a tensor into memory."""
        files, stored = self._places[name]
        return files[stored]

    def source(self, name: str) -> Source:
        """Offer a tensor to be written elsewhere, as it is."""
        files, stored = self._places[name]
        return files.bytes_of(stored), lambda: files[stored]


def misfits(network: MedVersaNetwork, checkpoint: Checkpoint) -> Iterator[str]:
    """Name every tensor that is missing, that the network does not know, or that has another shape."""
    wanted, shapes = _wanted(network), checkpoint.shapes
    own = network.state_dict()
    for name in wanted.keys() - shapes.keys():
        yield f"missing: {name}"
    for name in shapes.keys() - wanted.keys():
        yield f"unknown: {checkpoint.stored_name(name)}"
    for name in wanted.keys() & shapes.keys():
        if shapes[name] != tuple(own[wanted[name]].shape):
            expected = tuple(own[wanted[name]].shape)
            yield f"shape of {checkpoint.stored_name(name)}: {shapes[name]}, expected {expected}"


def fill(
    network: MedVersaNetwork,
    checkpoint: Checkpoint,
    precision: Precision = Precision.FLOAT32,
    device: str = "cpu",
) -> None:
    """Give an empty network its tensors: the language model and its LoRA in `precision`, all else in float32.

    What is large, a tensor of the language model that has the right type already, is not copied on a CPU: it
    stays mapped to its file. Matrices to be quantized stay mapped as they are stored until each is quantized,
    so that nothing is ever held twice. All else is copied to where arithmetic does not depend on its place in
    a file.

    Raises:
        WeightsError: tensors are missing, unknown or of another shape, and every one is named; or
        `quantize_decoder` cannot.
    """
    if problems := sorted(misfits(network, checkpoint)):
        raise WeightsError(f"the weights do not fit, {len(problems)} tensors; {'; '.join(problems)}")
    matrices = decoder_matrices(network.llama) if precision.is_quantized else ()
    packed = {id(matrix.weight) for _, matrix in matrices}
    as_stored = {name for name, parameter in network.named_parameters() if id(parameter) in packed}
    language = language_dtype(precision)
    filled: dict[str, Tensor] = {}
    for name, own in _wanted(network).items():
        tensor = checkpoint.tensor(name)
        if not name.startswith(LANGUAGE):
            tensor = tensor.to(device, torch.float32, copy=True)
        elif own not in as_stored:
            tensor = tensor.to(device, language, copy=is_adapter(name))
        filled[own] = tensor
    network.load_state_dict(filled, strict=False, assign=True)
    network.requires_grad_(False)
    del filled
    quantize_decoder(network.llama, precision, device)


def _wanted(network: MedVersaNetwork) -> dict[str, str]:
    """The network's own name of each tensor that a checkpoint must have, by published name."""
    names = {published_name(own): own for own in network.state_dict()}
    return {name: own for name, own in names.items() if not is_derived(name)}
