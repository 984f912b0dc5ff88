# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the files of a data set, seen without knowing its layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.image_pairs import IMAGE_SUFFIXES
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import StreetDataset, open_labels
from hier_seg_trainer.inspection.problems import Problem

USUAL_SHARE = 0.9  # of the images must share a size for the other sizes to be unusual
EXIF_ORIENTATION = 274  # the number of the tag (Exif 2.32, section 4.6.4)
UPRIGHT = 1
# What Pillow raises for a file that is none, depending on how it is broken.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
TRAIN_ID_VOID, LAST_TRAIN_ID = 255, 18  # of Cityscapes: cityscapesScripts, helpers/labels.py


def header_problems(path: Path) -> Iterator[Problem]:
    """Yield what an image file's first bytes give away: a wrong extension, a rotation.

    A file that cannot be opened yields nothing; ``diagnose`` says what is wrong with it.
    """
    try:
        with Image.open(path) as image:
            # Phones write JPEG with several pictures; the first one is read as any JPEG's.
            found = 'JPEG' if image.format == 'MPO' else image.format
            # Cameras write JPEG, and of a PNG Pillow would have to read the whole file.
            exif = image.getexif() if found == 'JPEG' else {}
            orientation = exif.get(EXIF_ORIENTATION, UPRIGHT)
    except BROKEN:
        return
    expected = Image.registered_extensions().get(path.suffix.lower())
    if expected != found:
        yield Problem('wrong_extension', path, f'is a {found} file')
    if orientation != UPRIGHT:
        yield Problem('rotated', path, f'orientation {orientation}')


def diagnose(dataset: StreetDataset, index: int, error: HierSegError) -> Iterator[Problem]:
    """Yield why the reader of `dataset` refused image `index` with `error`: at least one reason."""
    image_path, label_path = dataset.image_path(index), dataset.label_path(index)
    problems: list[Problem] = []
    image = _load(image_path, 'missing_image', image_path, problems)
    labels = None
    # Polygons are no image; what is wrong with them says the reader.
    if label_path is not None and label_path.suffix.lower() in IMAGE_SUFFIXES:
        labels = _load(label_path, 'missing_label', image_path, problems)
    if labels is not None and label_path is not None:
        if image is not None and image.size != labels.size:
            sizes = f'is {_size(labels.size)}, its image {_size(image.size)}'
            problems.append(Problem('wrong_size', label_path, sizes))
        problems += _label_problems(label_path, labels, getattr(dataset, 'mapping', None))
    yield from problems or [Problem('refused', label_path or image_path, _reason(error))]


def _load(path: Path, missing: str, named: Path, problems: list[Problem]) -> Image.Image | None:
    """Return a whole image, or None and add the reason to `problems`."""
    if not path.is_file():
        detail = 'does not exist' if path == named else f'{path} does not exist'
        problems.append(Problem(missing, named, detail))
        return None
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except BROKEN as error:
        problems.append(Problem('unreadable', path, _pillow_reason(error, path)))
        return None


def _label_problems(
    path: Path, image: Image.Image, mapping: LabelMapping | None
) -> Iterator[Problem]:
    if image.mode in ('RGB', 'RGBA', 'LA', 'CMYK'):
        colors = image.convert('RGB').getcolors(4096)
        expanded = image.mode in ('RGB', 'RGBA') and colors is not None and len(colors) <= 256
        hint = (
            f'; its {len(colors or ())} colours look like a palette that a program (OpenCV’s '
            f'imread, say) has expanded: use the indexed original'
            if expanded
            else ''
        )
        yield Problem('wrong_pixel_format', path, f'its mode is {image.mode}{hint}')
    elif mapping is not None:
        values = open_labels(path) if image.mode in ('1', 'L', 'P') else np.asarray(image)
        present, counts = np.unique(values, return_counts=True)
        known = {entry.value for entry in mapping.classes}
        known |= {entry.value for entry in mapping.ignored}
        unknown = ~np.isin(present, [value for value in known if value is not None])
        if unknown.any():
            text = ', '.join(
                f'{value} ({count:,} px)'
                for value, count in zip(present[unknown][:8], counts[unknown][:8], strict=True)
            )
            more = f' and {unknown.sum() - 8} more' if unknown.sum() > 8 else ''
            hint = _hint(image, present, counts, unknown)
            yield Problem('unknown_ids', path, f'{text}{more}{hint}')


def _hint(
    image: Image.Image,
    present: NDArray[np.integer],
    counts: NDArray[np.integer],
    unknown: NDArray[np.bool_],
) -> str:
    """Return what unknown label values probably mean, as the end of a sentence, or nothing."""
    if image.format == 'JPEG':
        return '; a JPEG: its compression has changed the values'
    if present[unknown][-1] == TRAIN_ID_VOID and (present[:-1] <= LAST_TRAIN_ID).all():
        return (
            '; train ids, as Cityscapes has them beside its label ids? Use those that the mapping '
            'lists, or list 255 as ignored'
        )
    if unknown.sum() > 1 and counts[unknown].sum() < 0.05 * counts.sum():
        return '; few pixels of many values: scaled with interpolation? Use nearest neighbour'
    if unknown.sum() > 1 and counts[unknown].sum() > 0.5 * counts.sum():
        return '; most pixels: grey values of colours, in place of ids?'
    return ''


def unusual_sizes(sizes: Iterable[tuple[Path, tuple[int, int]]]) -> Iterator[Problem]:
    """Yield the images whose (width, height) nearly all others do not share."""
    sizes = list(sizes)
    counts = Counter(size for _, size in sizes)
    if not counts:
        return
    usual, count = counts.most_common(1)[0]
    if count < USUAL_SHARE * len(sizes):
        return
    for path, size in sizes:
        if size != usual:
            yield Problem('unusual_size', path, f'{_size(size)}; {count} are {_size(usual)}')


def unpaired_files(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Problem]:
    """Yield files beside those of `pairs` (image, label) that have no partner on the disk.

    Names tell who belongs together: what is left of an image's and its label's name after the
    part that they share is the same for the whole data set ('``leftImg8bit``' and
    '``gtFine_labelIds.png``', say). Where images and labels lie in one folder, it tells nothing.
    """
    pairs = list(pairs)
    image_folders = {image.parent for image, _ in pairs}
    label_folders = {label.parent for _, label in pairs}
    tails = Counter(_tails(image, label) for image, label in pairs)
    if not tails or image_folders & label_folders:
        return
    (image_tail, label_tail), count = tails.most_common(1)[0]
    # Names without a common part, or parts that differ from file to file, tell nothing.
    if count < USUAL_SHARE * len(pairs):
        return
    images = {
        path.stem.removesuffix(image_tail): path
        for path in _files(image_folders)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.endswith(image_tail)
    }
    labels = {
        path.name.removesuffix(label_tail): path
        for path in _files(label_folders)
        if path.name.endswith(label_tail)
    }
    # A listed image without its labels, or the other way round, is reported by its reader.
    listed = {path for pair in pairs for path in pair}
    for key in sorted(labels.keys() - images.keys()):
        if labels[key] not in listed:
            yield Problem('label_without_image', labels[key], f'no image {key}{image_tail}')
    for key in sorted(images.keys() - labels.keys()):
        if images[key] not in listed:
            yield Problem('image_without_label', images[key], f'no {key}{label_tail}')


def _tails(image: Path, label: Path) -> tuple[str, str]:
    """Return what follows the part that the two names share: of the image, without its suffix."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(image.stem, label.stem, strict=False))
    shared = len(list(same))
    return image.stem[shared:], label.name[shared:]


def _files(folders: Iterable[Path]) -> list[Path]:
    return [
        path for folder in sorted(folders) if folder.is_dir() for path in sorted(folder.iterdir())
    ]


def _size(size: tuple[int, int]) -> str:
    return f'{size[0]}×{size[1]}'


def _pillow_reason(error: BaseException, path: Path) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return 'is empty' if path.stat().st_size == 0 else 'is no image'
    return ' '.join(str(error).split()) or type(error).__name__


def _reason(error: HierSegError) -> str:
    return ' '.join(str(error).split())
