"""Strokes keep their mass from millimetres to pixels."""

import numpy as np
import pytest

from model.training.phantoms.strokes import join, patch, resample, splat, tube
from model.training.phantoms.texture import power_noise, smooth_noise

LINE = np.array([[0, 0, -50], [0, 0, 50]], np.float32)


def test_solid_tube_has_the_mass_of_a_cylinder() -> None:
    assert tube(LINE, 5.0, 1.0).mass.sum() == pytest.approx(np.pi * 25 * 100, rel=0.06)


def test_hollow_tube_loses_its_core() -> None:
    hollow = tube(LINE, 10.0, 1.0, wall=0.4).mass.sum()
    assert hollow == pytest.approx(np.pi * (100 - 36) * 100, rel=0.08)


def test_plate_has_the_mass_of_its_area() -> None:
    other = LINE + np.array([40, 0, 0], np.float32)
    assert patch(LINE, other, 2.0).mass.sum() == pytest.approx(100 * 40 * 2, rel=0.08)


def test_splat_keeps_mass_and_centre() -> None:
    row, column = np.array([10.25, 3.5], np.float32), np.array([20.75, 7.0], np.float32)
    picture = splat((32, 32), row, column, np.array([2.0, 3.0], np.float32))
    assert picture.sum() == pytest.approx(5.0)
    assert (picture.sum(axis=1) * np.arange(32)).sum() == pytest.approx(2 * 10.25 + 3 * 3.5, rel=1e-5)


def test_splat_drops_what_lies_outside() -> None:
    outside = np.array([-5.0, 40.0], np.float32)
    assert splat((32, 32), outside, outside, np.ones(2, np.float32)).sum() == 0


def test_resampling_keeps_ends_and_step() -> None:
    line = resample(np.array([[0, 0, 0], [3, 4, 0], [3, 4, 12]], np.float32), 1.0)
    assert tuple(line[0]) == (0, 0, 0)
    assert tuple(line[-1]) == (3, 4, 12)
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() <= 1.1


def test_joining_keeps_every_point() -> None:
    one, two = tube(LINE, 2.0, 1.0), tube(LINE, 3.0, 1.0)
    assert join([one, two]).mass.sum() == pytest.approx(one.mass.sum() + two.mass.sum())


def test_power_noise_has_the_slope_it_was_asked_for() -> None:
    power = np.abs(np.fft.fftshift(np.fft.fft2(power_noise(np.random.default_rng(0), (128, 128), -3.0)))) ** 2
    row, column = np.indices(power.shape) - 64
    ring = np.hypot(row, column).astype(int).ravel()
    mean = np.bincount(ring, power.ravel()) / np.bincount(ring)
    k = np.arange(4, 60)
    assert np.polyfit(np.log(k), np.log(mean[k]), 1)[0] == pytest.approx(-3.0, abs=0.2)


def test_smooth_noise_is_smooth_and_of_unit_order() -> None:
    field = smooth_noise(np.random.default_rng(0), (200, 200), 5)
    assert 0.3 < field.std() < 1.5
    assert np.abs(np.diff(field, axis=0)).max() < 0.2
