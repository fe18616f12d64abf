"""Random fields that make phantoms look like tissue: smooth deformations and power-law grain."""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def _hat_weights(length: int, cells: int) -> Field:
    """Return (length, cells) cosine-eased interpolation weights from a coarse to a fine axis."""
    position = np.linspace(0.0, cells - 1.0, length)
    low = np.minimum(position.astype(np.intp), cells - 2)
    part = 0.5 - 0.5 * np.cos(np.pi * (position - low))
    weights = np.zeros((length, cells), np.float32)
    rows = np.arange(length)
    weights[rows, low] = 1.0 - part
    weights[rows, low + 1] = part
    return weights


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], cells: int | tuple[int, ...]) -> Field:
    """Draw a field of unit variance at its knots, `cells` (at least 2) knots along each axis of `shape`."""
    knots = (cells,) * len(shape) if isinstance(cells, int) else cells
    field: Field = rng.standard_normal(knots).astype(np.float32)
    for axis, length in enumerate(shape):
        field = np.moveaxis(np.tensordot(_hat_weights(length, knots[axis]), field, axes=(1, axis)), 0, axis)
    return field


def power_noise(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> Field:
    """Draw a field of zero mean and unit variance whose radial power spectrum falls as f**slope."""
    spectrum = np.fft.rfft2(rng.standard_normal(shape).astype(np.float32))
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = 1.0
    spectrum = spectrum * frequency ** (slope / 2.0)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=shape).astype(np.float32)
    return field / field.std()
