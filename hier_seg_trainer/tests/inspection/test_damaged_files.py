# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg inspect`` on damaged and hostile files: they are listed, and the rest is inspected."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_trainer import cli
from hier_seg_trainer.inspection.report.inspection_page import NUMBERS, PAGE

SIZE = (48, 32)  # width, height
SEEDS = 200
PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'

Chunk = tuple[bytes, bytes]


def photograph(rng: np.random.Generator) -> Image.Image:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    return coarse.resize(SIZE, Image.Resampling.BICUBIC)


def label_image(rng: np.random.Generator) -> Image.Image:
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    labels[10:], labels[20:], labels[:, -3:] = 1, 3, 11
    image = Image.fromarray(labels)
    if rng.random() < 0.5:
        # Many label files have a palette.
        image = Image.fromarray(labels, 'P')
        image.putpalette(rng.integers(0, 256, 768).tolist())
    return image


def encoded(image: Image.Image, kind: str, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    if kind == 'JPEG':
        exif = Image.Exif()
        exif[274], exif[271] = 1, 'a camera'
        image.convert('L' if image.mode == 'P' else image.mode).save(buffer, 'JPEG', exif=exif)
    else:
        transparency = (0, 0, 0) if image.mode == 'RGB' else 0
        more = {'transparency': transparency} if rng.random() < 0.3 else {}
        image.save(buffer, 'PNG', dpi=(72, 72), **more)
    return buffer.getvalue()


def chunks_of(data: bytes) -> list[Chunk]:
    chunks, place = [], len(PNG_SIGNATURE)
    while place < len(data):
        (length,) = struct.unpack('>I', data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def png_of(chunks: list[Chunk]) -> bytes:
    """Return a PNG file of chunks, each with the right checksum."""
    return PNG_SIGNATURE + b''.join(
        struct.pack('>I', len(content))
        + kind
        + content
        + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in chunks
    )


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with some of its bytes changed, cut off or moved; a PNG's checksums agree."""
    way = int(rng.integers(6))
    if data.startswith(PNG_SIGNATURE) and way > 1:
        chunks = chunks_of(data)
        place = int(rng.integers(len(chunks)))
        kind, content = chunks[place]
        if way == 2:
            chunks[place] = kind, content[: int(rng.integers(len(content) + 1))]
        elif way == 3:
            chunks.insert(int(rng.integers(len(chunks))), (kind, rng.bytes(5)))
        elif way == 4:
            del chunks[place]
        else:
            chunks[place] = kind, flipped(content, rng)
        return png_of(chunks)
    if way == 0:
        return data[: int(rng.integers(len(data)))]
    if way < 4:
        return flipped(data, rng)
    start, end = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:start] + data[end:] if way == 4 else data[:end] + data[start:]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    values = np.frombuffer(data, np.uint8).copy()
    if values.size:
        # The first bytes say how to read the others.
        reach = int(rng.choice([min(200, values.size), values.size]))
        values[rng.integers(0, reach, int(rng.integers(1, 9)))] = rng.integers(0, 256)
    return values.tobytes()


def write_camvid(root: Path, damaged_images: int, sound_images: int) -> set[str]:
    """Write a CamVid, some of whose images have one damaged file; return the names of the others.

    What is damaged, and how, depends on the image's number alone.
    """
    for folder in ('train', 'trainannot'):
        (root / folder).mkdir(parents=True)
    for seed in range(damaged_images + sound_images):
        rng = np.random.default_rng(seed)
        pair = {'train': photograph(rng), 'trainannot': label_image(rng)}
        chosen = list(pair)[int(rng.integers(2))] if seed < damaged_images else None
        for folder, image in pair.items():
            kind = ('PNG', 'JPEG')[int(rng.integers(2))] if folder == chosen else 'PNG'
            data = encoded(image, kind, rng)
            path = root / folder / f'{seed:04d}.png'
            path.write_bytes(damaged(data, rng) if folder == chosen else data)
    return {f'{seed:04d}.png' for seed in range(damaged_images, damaged_images + sound_images)}


def inspect(root: Path, out: Path, *words: str) -> int:
    places = ['--format', 'camvid', '--path', str(root), '--split', 'train', '--out', str(out)]
    return cli.main(['inspect', *places, '--workers', '0', *words])


def test_damaged_files_are_problems_and_nothing_else(tmp_path: Path) -> None:
    sound = write_camvid(tmp_path / 'camvid', SEEDS, 20)
    assert inspect(tmp_path / 'camvid', tmp_path / 'out') == 0
    written = json.loads((tmp_path / 'out' / NUMBERS).read_text(encoding='utf-8'))
    (split,) = written['data_sets']
    assert split['images'] == split['images_inspected'] == SEEDS + 20
    problems = written['problems']
    rows = [row for kind, found in problems.items() if kind != 'duplicates' for row in found]
    assert all(row['detail'] for row in rows)
    # Nothing is wrong where nothing was damaged.
    assert not {Path(row['file']).name for row in rows} & sound
    # What a reader refuses is listed, and the rest is not.
    refusals = ('unreadable', 'wrong_size', 'wrong_pixel_format', 'unknown_ids', 'refused')
    refused = {Path(row['file']).name for kind in refusals for row in problems.get(kind, ())}
    assert len(refused) == SEEDS + 20 - split['images_usable']
    assert len(problems['unreadable']) > SEEDS / 4
    assert split['images_usable'] > 20 + SEEDS / 10
    assert written['errors'] >= len(refused)
    page = (tmp_path / 'out' / PAGE).read_text(encoding='utf-8')
    assert problems['unreadable'][0]['file'] in page


HEADER = struct.pack('>IIBBBBB', *SIZE, 8, 3, 0, 0, 0)
PIXELS = zlib.compress(bytes((SIZE[0] + 1) * SIZE[1]))


@pytest.mark.parametrize(
    ('chunks', 'reason'),
    [
        # Colour type 3 with transparency and no palette: Pillow's own assertion fails.
        (
            [(b'IHDR', HEADER), (b'tRNS', b'\0'), (b'IDAT', PIXELS), (b'IEND', b'')],
            'is damaged (AssertionError)',
        ),
        ([(b'IHDR', HEADER[:5]), (b'IDAT', PIXELS), (b'IEND', b'')], 'Truncated IHDR chunk'),
        ([(b'IHDR', HEADER), (b'IEND', b'')], ''),
    ],
)
def test_a_hostile_image_is_listed_with_its_reason(
    tmp_path: Path, chunks: list[Chunk], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / 'camvid', tmp_path / 'out'
    write_camvid(root, 0, 1)
    (root / 'train' / 'hostile.png').write_bytes(png_of(chunks))
    label_image(np.random.default_rng(0)).save(root / 'trainannot' / 'hostile.png')
    assert inspect(root, out) == 0
    assert '2 images inspected; errors: 1, warnings: 0' in capsys.readouterr().out
    written = json.loads((out / NUMBERS).read_text(encoding='utf-8'))
    (row,) = written['problems']['unreadable']
    assert row['file'] == 'train/hostile.png'
    assert reason in row['detail'] != ''
    assert written['data_sets'][0]['images_usable'] == 1
    page = (out / PAGE).read_text(encoding='utf-8')
    assert 'train/hostile.png' in page and reason in page
    assert inspect(root, out, '--strict') == 1
