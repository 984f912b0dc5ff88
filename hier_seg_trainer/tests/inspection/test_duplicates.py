# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Near-duplicates by their thumbnails and recordings by their names."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_trainer.inspection.checks import duplicates
from hier_seg_trainer.inspection.checks.duplicates import (
    MIN_CORRELATION,
    duplicate_groups,
    fingerprint,
    nearest_duplicates,
    shared_sequences,
)


def scene(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3)).astype(np.uint8))
    return coarse.resize((160, 100), Image.Resampling.BICUBIC)


def recompressed(image: Image.Image, quality: int, scale: float) -> Image.Image:
    size = round(image.width * scale), round(image.height * scale)
    buffer = io.BytesIO()
    image.resize(size).save(buffer, 'JPEG', quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


def correlation(one: Image.Image, other: Image.Image) -> float:
    """Return the correlation of the images' grey values in 16x16, each the mean of its cell."""
    small = [
        np.asarray(image.convert('L').resize((16, 16), Image.Resampling.BOX), float).ravel()
        for image in (one, other)
    ]
    return float(np.corrcoef(*small)[0, 1])


@pytest.mark.parametrize(('quality', 'scale'), [(95, 1.0), (40, 1.0), (85, 0.9), (40, 1.15)])
def test_a_recompressed_image_is_found_and_other_scenes_are_not(quality: int, scale: float) -> None:
    images = [scene(seed) for seed in range(20)]
    copies = [recompressed(images[seed], quality, scale) for seed in (3, 11)]
    prints = [fingerprint(image) for image in (*images, *copies)]
    assert duplicate_groups(prints) == [[3, 20], [11, 21]]
    found = nearest_duplicates(prints[20:], prints[:20])
    assert [(query, reference) for query, reference, _ in found] == [(0, 3), (1, 11)]
    assert found[0][2] == pytest.approx(correlation(copies[0], images[3]), abs=1e-5)
    assert found[0][2] > MIN_CORRELATION


def test_a_grey_copy_is_found() -> None:
    image = scene(1)
    assert duplicate_groups([fingerprint(image), fingerprint(image.convert('L'))]) == [[0, 1]]


def test_plain_images_are_alike_only_when_they_are_plain() -> None:
    plain = [Image.new('RGB', (50, 40), color) for color in ('black', 'black', (80, 90, 80))]
    bands = []
    for edge in (20, 70):
        pixels = np.zeros((100, 160, 3), np.uint8)
        pixels[edge:] = 200
        bands.append(Image.fromarray(pixels))
    prints = [fingerprint(image) for image in (*plain, *bands)]
    # Of one colour, whichever: brightness alone tells no two images apart.
    assert duplicate_groups(prints) == [[0, 1, 2]]


def test_groups_join_through_a_member_and_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [scene(seed) for seed in range(9)]
    copies = [recompressed(images[2], quality, 1.0) for quality in (90, 60, 50)]
    prints = [fingerprint(image) for image in (*images, *copies)]
    whole = duplicate_groups(prints)
    assert whole == [[2, 9, 10, 11]]
    asked = nearest_duplicates(prints[8:], prints[:8])
    assert [query for query, _, _ in asked] == [1, 2, 3]
    monkeypatch.setattr(duplicates, 'BLOCK', 2)
    assert duplicate_groups(prints) == whole
    # How a product of matrices rounds depends on their sizes.
    for (query, original, correlation), expected in zip(
        nearest_duplicates(prints[8:], prints[:8]), asked, strict=True
    ):
        assert (query, original) == expected[:2]
        assert correlation == pytest.approx(expected[2], abs=1e-5)


def test_nothing_has_no_duplicate() -> None:
    one = fingerprint(scene(0))
    assert duplicate_groups([]) == []
    assert duplicate_groups([one]) == []
    assert nearest_duplicates([], [one]) == []
    assert nearest_duplicates([one], []) == []


def test_all_pairs_agree_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    originals = [scene(seed) for seed in range(12)]
    copies = []
    for image in originals:
        for noise, contrast in ((15, 1.0), (120, 1.0), (0, 0.8), (60, 0.1)):
            pixels = np.asarray(image) * contrast + rng.integers(-noise, noise + 1, (100, 160, 3))
            copies.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    found = nearest_duplicates(
        [fingerprint(image) for image in copies], [fingerprint(image) for image in originals]
    )
    expected = []
    for query, copied in enumerate(copies):
        best, reference = max((correlation(copied, image), n) for n, image in enumerate(originals))
        if best >= MIN_CORRELATION:
            expected.append((query, reference))
    assert [(query, reference) for query, reference, _ in found] == expected
    # Some are near enough, and some are not.
    assert 0 < len(expected) < len(copies)


@pytest.mark.parametrize(
    ('train', 'val', 'expected'),
    [
        # CamVid: the recording before the frame.
        (
            ['d/train/0016E5_08190.png', 'd/train/0001TP_000100.png'],
            ['d/val/0016E5_08159.png', 'd/val/0016E5_08000.png'],
            [('0016E5', 1, 2, 31)],
        ),
        # Cityscapes: city, sequence, frame, kind of the file.
        (
            ['c/leftImg8bit/train/ulm/ulm_000003_000019_leftImg8bit.png'],
            ['c/leftImg8bit/val/ulm/ulm_000003_000017_leftImg8bit.png'],
            [('ulm_000003', 1, 1, 2)],
        ),
        # Other cities, other sequences.
        (
            ['c/leftImg8bit/train/ulm/ulm_000003_000019_leftImg8bit.png'],
            ['c/leftImg8bit/val/bonn/bonn_000003_000019_leftImg8bit.png'],
            [],
        ),
        (['a/ulm_000003_000019.png'], ['a/ulm_000004_000020.png'], []),
        # GTSRB: a track is of its class.
        (['g/00001/00000_00003.ppm'], ['g/00001/00000_00004.ppm'], [('00000', 1, 1, 1)]),
        (['g/00001/00000_00003.ppm'], ['g/00002/00000_00004.ppm'], []),
        # Plain numbers and names without one tell nothing.
        (
            ['d/train/00001.png', 'd/train/img_0001.png'],
            ['d/val/00002.png', 'd/val/img_0002.png'],
            [],
        ),
    ],
)
def test_recordings_are_told_by_their_names(
    train: list[str], val: list[str], expected: list[tuple[str, int, int, int]]
) -> None:
    shared = shared_sequences(map(Path, train), map(Path, val), ('train', 'val'))
    assert [(s.name, s.references, s.queries, s.gap) for s in shared] == expected


def test_the_nearest_frames_are_named() -> None:
    train = [Path(f'train/run1_{frame:04d}.png') for frame in (10, 500, 90)]
    val = [Path(f'val/run1_{frame:04d}.png') for frame in (300, 94, 700)]
    (shared,) = shared_sequences(train, val, ('train', 'val'))
    assert (shared.reference.stem, shared.query.stem) == ('run1_0090', 'run1_0094')


def test_real_scenes(real_data: Path) -> None:
    """Streets look alike from afar; none of these is another one."""
    paths = [real_data / 'gtsdb' / f'{number:05d}.jpg' for number in range(500, 560)]
    images = [Image.open(path) for path in paths]
    prints = [fingerprint(image) for image in images]
    assert duplicate_groups(prints) == []
    copies = [fingerprint(recompressed(image, 50, 0.9)) for image in images[:10]]
    found = nearest_duplicates(copies, prints)
    assert [(query, reference) for query, reference, _ in found] == [(n, n) for n in range(10)]
