# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sky with its clouds, and mountains before it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from hier_seg_trainer.synthesis.drawing.camera import Color
from hier_seg_trainer.synthesis.drawing.canvas import SUPERSAMPLING, Canvas, Texture
from hier_seg_trainer.synthesis.drawing.colors import choose, mixed, scaled


def draw_sky(canvas: Canvas, rng: np.random.Generator, zenith: Color, cloudiness: float) -> None:
    """Fill the picture with sky: paler towards the horizon, with clouds (0 none - 1 overcast)."""
    camera = canvas.camera
    frame = [(0, 0), (camera.width, 0), (camera.width, camera.height), (0, camera.height)]
    canvas.shape_in_image('Sky', frame, canvas.light.haze, Texture(1, 1))
    size = (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
    rows, columns = 48, 64
    height = np.linspace(1, 0, rows)[:, None, None] * np.ones((1, columns, 1))
    horizon = np.array(canvas.light.haze, np.float64)
    colors = horizon + (np.array(zenith, np.float64) - horizon) * height**0.7
    cloud = _cloud_cover(rng, rows, columns, cloudiness)[..., None]
    colors += (np.array([236, 238, 240]) * rng.uniform(0.75, 1.0) - colors) * cloud
    small = Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8))
    top = max(2, min(size[1], round(camera.horizon * SUPERSAMPLING)))
    canvas.colors.paste(small.resize((size[0], top), Image.Resampling.BICUBIC), (0, 0))


def _cloud_cover(
    rng: np.random.Generator, rows: int, columns: int, cloudiness: float
) -> np.ndarray:
    """Return (rows, columns) in 0-1."""
    cover = np.zeros((rows, columns))
    for step, strength in ((12, 1.0), (6, 0.5), (3, 0.25)):
        coarse = rng.normal(0, strength, (rows // step + 2, columns // (2 * step) + 2))
        layer = Image.fromarray(coarse.astype(np.float32))
        cover += np.asarray(layer.resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip((cover + 2 * cloudiness - 1.2) * 0.9, 0, 0.95)


def draw_mountains(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a ridge behind everything but the sky."""
    camera = canvas.camera
    count = 24
    heights = np.abs(np.cumsum(rng.normal(0, 1, count)))
    heights = 0.35 + 0.65 * heights / heights.max()
    peak = camera.height * rng.uniform(0.14, 0.26)
    columns = np.linspace(0, camera.width, count)
    ridge = [(x, camera.horizon - peak * h) for x, h in zip(columns, heights, strict=True)]
    base = [(float(camera.width), camera.horizon + 2), (0.0, camera.horizon + 2)]
    color = mixed(
        choose(rng, [(96, 104, 120), (104, 96, 92), (88, 106, 98)]), canvas.light.haze, 0.3
    )
    canvas.shape_in_image('Mountain', [*ridge, *base], color, Texture(3, 8))
    for (x0, y0), (x1, y1) in pairwise(ridge):
        if y1 > y0:
            # The side away from the sun.
            foot = [
                (x1, min(camera.horizon, y1 + peak * 0.35)),
                (x0, min(camera.horizon, y0 + peak * 0.3)),
            ]
            canvas.detail_in_image([(x0, y0), (x1, y1), *foot], scaled(color, 0.82))
