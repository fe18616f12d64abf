"""Auxiliary heads of the language stage: they teach what words alone teach slowly, and are thrown away.

A language model of random weights must find out where it looks, and in which image, before it can tell a box
or a change. Each head asks that of a state directly.
"""

from torch import Tensor, nn
from torch.nn import functional

from model.families.medversa_networks.sizes import MedVersaSizes
from model.training.compared_cells import ComparedCells

PLACES_WEIGHT = 0.1
EXTENTS_WEIGHT = 2.0


class Places(nn.Module):
    """The state at each visual token must tell its row, its column and the number of its image.

    Visual tokens come without a place; a box can be told only by who knows where it looks.
    """

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        self.side, self.images = sizes.visual_side, sizes.max_images
        self.head = nn.Linear(sizes.hidden, 2 * self.side + self.images)

    def loss(self, states: Tensor, shown: Tensor) -> Tensor:
        """Sum of three cross-entropies.

        Args:
            states: (B, L, hidden).
            shown: (B, L) bool: where visual tokens are, row-major, one image after the other.
        """
        number = (shown.cumsum(1) - 1)[shown]
        image, place = number // self.side**2, number % self.side**2
        row, column, which = (
            self.head(states[shown]).float().split((self.side, self.side, self.images), dim=1)
        )
        return PLACES_WEIGHT * (
            functional.cross_entropy(row, place // self.side)
            + functional.cross_entropy(column, place % self.side)
            + functional.cross_entropy(which, image)
        )


class Extents(nn.Module):
    """The state that foretells the verb of a change must tell how large the finding is now and was before.

    That a finding grew is one word among many; what it is read from is seldom told otherwise.
    """

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.hidden, 2)

    def loss(self, states: Tensor, extents: Tensor) -> Tensor:
        """Absolute error of (n, 2) extents, 0 to 1, told by (n, hidden) states."""
        return EXTENTS_WEIGHT * functional.l1_loss(self.head(states).float(), extents)


class Heads(nn.Module):
    """All of them."""

    def __init__(self, sizes: MedVersaSizes) -> None:
        super().__init__()
        self.places, self.extents, self.compared = Places(sizes), Extents(sizes), ComparedCells(sizes)

    def losses(
        self, states: Tensor, shown: Tensor, verbs: Tensor, extents: Tensor, compared: Tensor
    ) -> dict[str, Tensor]:
        """What all heads have to say of (B, L, hidden) states.

        Args:
            shown: (B, L) bool: where visual tokens are.
            verbs: (B, L) bool: where the verbs of changes are, whose extents are known.
            extents: (n, 2), one row for each of them.
            compared: (B, T, labels, 2) where each row of the batch shows two radiographs, else empty.
        """
        losses = {"places": self.places.loss(states, shown)}
        if len(extents):
            losses["extents"] = self.extents.loss(states[:, :-1][verbs[:, 1:]], extents)
        if len(compared):
            tokens = states[shown].unflatten(0, (len(compared), -1))
            losses["compared"] = self.compared.loss(tokens[:, compared.shape[1] :], compared)
        return losses
