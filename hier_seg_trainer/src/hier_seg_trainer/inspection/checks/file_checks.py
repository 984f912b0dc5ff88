# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the files of one image, seen without knowing the data set's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import UPRIGHT, check_pixels, orientation_of
from hier_seg_trainer.datasets.readers.image_pairs import IMAGE_SUFFIXES
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.datasets.stored_pixels import FORMATS, is_stored_size, upright_rgb
from hier_seg_trainer.inspection.checks.label_checks import label_problems
from hier_seg_trainer.inspection.checks.problems import Problem

Value = TypeVar('Value')


def attempt(read: Callable[[], Value]) -> tuple[Value | None, str]:
    """Return what reading a file gives, and '', or None, and in words why it cannot be read."""
    try:
        return read(), ''
    # What Pillow raises for a damaged or hostile file has no common base: AssertionError,
    # IndexError, TypeError, struct.error and more. One such file must not end an inspection.
    except Exception as error:  # noqa: BLE001
        return None, _reason(error)


def _reason(error: Exception) -> str:
    text = ' '.join(str(error).split())
    if isinstance(error, Image.UnidentifiedImageError):
        return 'is no image'
    known = (HierSegError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)
    if text and isinstance(error, known):
        return text
    return f'is damaged ({type(error).__name__}{": " if text else ""}{text})'


def header_problems(path: Path) -> Iterator[Problem]:
    """Yield what an image file's first bytes give away: a wrong extension, a rotation.

    A file that cannot be opened yields nothing; ``diagnose`` says what is wrong with it.
    """
    header, _ = attempt(lambda: _header(path)) if path.is_file() else (None, '')
    if header is None:
        return
    found, orientation = header
    if Image.registered_extensions().get(path.suffix.lower()) != found:
        yield Problem('wrong_extension', path, f'is a {found} file')
    if orientation != UPRIGHT:
        yield Problem('rotated', path, f'orientation {orientation}')


def _header(path: Path) -> tuple[str | None, int]:
    """Return an image file's format and its EXIF orientation."""
    with Image.open(path, formats=FORMATS) as image:
        if image.format == 'PNG' and 'exif' not in image.info:
            # Behind the pixels there may be one, for which all of them would have to be decoded.
            return 'PNG', UPRIGHT
        # Phones write JPEG with several pictures; the first one is read as any JPEG's.
        return 'JPEG' if image.format == 'MPO' else image.format, orientation_of(image)


def diagnose(dataset: StreetDataset, index: int, reason: str) -> Iterator[Problem]:
    """Yield why the reader of a data set refused an image: at least one problem.

    Parameters
    ----------
    dataset, index
        Which image.
    reason
        The reader's own, for what is found neither in the image nor in its labels.

    """
    image_path, label_path = dataset.image_path(index), dataset.label_path(index)
    problems: list[Problem] = []
    image = _load(image_path, 'missing_image', image_path, problems)
    # Polygons are no image; what is wrong with them says the reader.
    if label_path is not None and label_path.suffix.lower() in IMAGE_SUFFIXES:
        labels = _load(label_path, 'missing_label', image_path, problems)
        if labels is not None:
            if image is not None and image.size != labels.size:
                sizes = f'is {size_text(labels.size)}, its image {size_text(image.size)}'
                if is_stored_size(image_path, image, labels.size):
                    sizes += '; it fits the image as it is stored, which an EXIF tag turns'
                problems.append(Problem('wrong_size', label_path, sizes))
            mapping = getattr(dataset, 'mapping', None)
            found, _ = attempt(lambda: list(label_problems(label_path, labels, mapping)))
            problems += found or ()
    yield from problems or [Problem('refused', label_path or image_path, reason)]


def _load(path: Path, missing: str, named: Path, problems: list[Problem]) -> Image.Image | None:
    """Return a whole image, or None and add the reason to `problems`."""
    if not path.is_file():
        detail = 'does not exist' if path == named else f'{path} does not exist'
        problems.append(Problem(missing, named, detail))
        return None
    # The reader converts images, and a palette that is missing shows only then.
    image, reason = attempt(lambda: _decoded(path, photograph=path == named))
    if image is None:
        empty = path.stat().st_size == 0
        problems.append(Problem('unreadable', path, 'is empty' if empty else reason))
    return image


def _decoded(path: Path, *, photograph: bool) -> Image.Image:
    with Image.open(path, formats=FORMATS) as image:
        if photograph:
            return upright_rgb(image)
        check_pixels(image)
        image.load()
        return image


def size_text(size: tuple[int, int]) -> str:
    """Return (width, height) in words."""
    return f'{size[0]}×{size[1]}'
