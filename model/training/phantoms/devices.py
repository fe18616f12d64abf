"""Lines, tubes and leads that lie over a chest; never labelled, always possible."""

import numpy as np

from model.training.phantoms.projection import Picture, Scene
from model.training.phantoms.strokes import Cloud, tube


def _wander(rng: np.random.Generator, ends: list[tuple[float, float]], depth: float, slack: float) -> Cloud:
    """Join (x, z) points by a slack line."""
    knots = np.array(ends, np.float64)
    t = np.linspace(0, len(knots) - 1, 25 * (len(knots) - 1))
    x = np.interp(t, np.arange(len(knots)), knots[:, 0])
    z = np.interp(t, np.arange(len(knots)), knots[:, 1])
    wave = slack * np.sin(t * rng.uniform(1, 3) + rng.uniform(0, 6.3)) * np.sin(np.pi * t / t[-1])
    path = np.stack([x + wave, np.full_like(x, depth), z + 0.6 * wave], -1)
    return tube(path.astype(np.float32), rng.uniform(0.8, 1.6), rng.uniform(1.5, 4.0), step_mm=1.2)


def draw_devices(rng: np.random.Generator, scene: Scene) -> Picture:
    """Return millimetres of water (J, I) of what was left on or in the patient; mostly nothing."""
    torso = scene.torso
    top, half, knob = torso.height, torso.half_width, scene.knob_z
    clouds: list[Cloud] = []
    chance = 0.3 if scene.pose.view == "AP" else 0.07
    if rng.random() < chance:
        clouds.append(_wander(rng, [(0, top + 120), (0, top + 20), (-2, knob + rng.uniform(-10, 25))], -5, 2))
    if rng.random() < chance:
        clouds.append(_wander(rng, [(1, top + 120), (4, knob), (8, 10), (45, scene.pose.rise - 60)], 10, 4))
    if rng.random() < chance:
        side = float(rng.choice([-1.0, 1.0]))
        ends = [(side * half * 0.9, top - 25), (side * 25, top - 30), (-22, knob - 10), (-28, knob - 55)]
        clouds.append(_wander(rng, ends, -20, 4))
    if rng.random() < chance:
        for _ in range(int(rng.integers(2, 5))):
            spot = rng.uniform(-0.8, 0.8) * half, rng.uniform(0.05, 0.85) * top
            out = float(rng.choice([-1.4, 1.4])) * half, rng.uniform(-0.3, 0.9) * top
            clouds.append(_wander(rng, [spot, out], -torso.half_depth - 20, 14))
            ring = np.linspace(0, 2 * np.pi, 20)
            button = np.stack(
                [spot[0] + 4 * np.cos(ring), 0 * ring - torso.half_depth, spot[1] + 4 * np.sin(ring)], -1
            )
            clouds.append(tube(button.astype(np.float32), 2.0, 3.0))
    picture = np.zeros(scene.shape, np.float32)
    for cloud in clouds:
        picture += scene.splat(cloud)
    return picture
