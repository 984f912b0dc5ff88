# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inspects data sets: opens them, measures their images, compares them with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.inspection.checks.duplicates import (
    Fingerprint,
    duplicate_groups,
    nearest_duplicates,
    shared_sequences,
)
from hier_seg_trainer.inspection.checks.pair_checks import unpaired_files, unusual_sizes
from hier_seg_trainer.inspection.checks.problems import Problem
from hier_seg_trainer.inspection.measure import ImageMeasures, Measured


@dataclass(frozen=True)
class Source:
    """A split of a data set.

    Attributes
    ----------
    format
        Its layout.
    path
        Where the data set is.
    split
        The split's name.
    training
        False for a split that scores are taken on.
    mapping
        In place of the mapping file that comes with the format.

    """

    format: str
    path: Path
    split: str
    training: bool = True
    mapping: Path | None = None

    def name_of(self, path: Path) -> str:
        """Return a file's path within the data set."""
        return str(path.relative_to(self.path) if path.is_relative_to(self.path) else path)


@dataclass
class Survey:
    """What was found in one split of a data set.

    Attributes
    ----------
    source
        Which split.
    dataset
        The data set; None for one that cannot be opened.
    images
        The measures of the images that were looked at.
    problems
        All that is wrong.

    """

    source: Source
    dataset: StreetDataset | None
    images: list[ImageMeasures] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The data set's readable name."""
        return self.source.format if self.dataset is None else self.dataset.title

    @property
    def name(self) -> str:
        """The readable name of the data set and its split."""
        return f'{self.title} {self.source.split}'


@dataclass(frozen=True)
class _Found:
    """An image that can be compared with others."""

    survey: Survey
    path: Path
    fingerprint: Fingerprint

    @property
    def name(self) -> str:
        """Its path within its data set."""
        return self.survey.source.name_of(self.path)


def inspect_datasets(
    sources: Sequence[Source],
    hierarchy: Hierarchy,
    *,
    limit: int = 0,
    seed: int = 0,
    workers: int = 0,
    progress: bool = False,
) -> list[Survey]:
    """Measure the data sets and find their problems, between each other too.

    Parameters
    ----------
    sources
        The splits; the result has their order.
    hierarchy
        The label tree.
    limit
        How many images of each to look at; 0 for all of them.
    seed
        Of the images' choice.
    workers
        Processes that read images; 0 for none but this one.
    progress
        Whether to show bars.

    """
    surveys = [_open(source, hierarchy) for source in sources]
    for survey in surveys:
        if survey.dataset is not None:
            indices = _sample(len(survey.dataset), limit, seed)
            survey.images = _measure(
                survey.dataset, hierarchy, indices, workers, survey.name, progress
            )
            survey.problems += _own_problems(survey)
    _compare(surveys)
    return surveys


def _open(source: Source, hierarchy: Hierarchy) -> Survey:
    try:
        dataset = open_dataset(
            source.format, source.path, source.split, hierarchy, source.mapping, strict=False
        )
    except HierSegError as error:
        problem = Problem('not_opened', source.path, f'{source.split}: {error}')
        return Survey(source, None, problems=[problem])
    faults = [Problem(fault.kind, fault.path, fault.reason) for fault in dataset.faults]
    return Survey(source, dataset, problems=faults)


def _sample(count: int, limit: int, seed: int) -> list[int]:
    if not 0 < limit < count:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, limit, replace=False).tolist())


def _measure(
    dataset: StreetDataset,
    hierarchy: Hierarchy,
    indices: list[int],
    workers: int,
    name: str,
    progress: bool,
) -> list[ImageMeasures]:
    loader = DataLoader(
        Measured(dataset, hierarchy),
        sampler=indices,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
    )
    return list(tqdm(loader, name, len(indices), unit='image', disable=not progress))


def _as_it_is(measures: Any) -> Any:
    return measures


def _own_problems(survey: Survey) -> Iterator[Problem]:
    """Yield the problems that a split of a data set has by itself."""
    for image in survey.images:
        yield from image.problems
    yield from unusual_sizes(
        (image.path, image.size) for image in survey.images if image.size is not None
    )
    dataset = survey.dataset
    assert dataset is not None
    pairs = ((dataset.image_path(i), dataset.label_path(i)) for i in range(len(dataset)))
    reported = {fault.path for fault in dataset.faults}
    for problem in unpaired_files((image, label) for image, label in pairs if label is not None):
        if problem.path not in reported:
            yield problem


def _compare(surveys: Sequence[Survey]) -> None:
    """Add what is wrong between images: near-duplicates within a split and across splits."""
    found = [
        _Found(survey, image.path, image.fingerprint)
        for survey in surveys
        for image in survey.images
        if image.fingerprint is not None
    ]
    training = [image for image in found if image.survey.source.training]
    validation = [image for image in found if not image.survey.source.training]
    for images in (training, validation):
        for group in duplicate_groups([image.fingerprint for image in images]):
            first, *rest = (images[place] for place in group)
            names = ', '.join(image.name for image in rest[:4])
            more = f' and {len(rest) - 4} more' if len(rest) > 4 else ''
            others = tuple(image.path for image in rest)
            detail = f'{len(group)} alike: with {names}{more}'
            first.survey.problems.append(Problem('duplicates', first.path, detail, others))
    for query, original, correlation in nearest_duplicates(
        [image.fingerprint for image in validation], [image.fingerprint for image in training]
    ):
        image, seen = validation[query], training[original]
        detail = f'correlation {correlation:.3f} with {seen.survey.name}: {seen.name}'
        image.survey.problems.append(Problem('leak', image.path, detail, (seen.path,)))
    for survey in surveys:
        if not survey.source.training:
            survey.problems += _sequence_problems(surveys, survey)


def _sequence_problems(surveys: Iterable[Survey], survey: Survey) -> Iterator[Problem]:
    """Yield the recordings of which both `survey` and its data set's training split have frames."""
    for other in surveys:
        source = other.source
        if not source.training or source.path != survey.source.path:
            continue
        names = (source.split, survey.source.split)
        for shared in shared_sequences(_paths(other), _paths(survey), names):
            detail = (
                f'{shared.name}: {shared.references} images in {source.split}, {shared.queries} in '
                f'{survey.source.split}; the nearest ({source.name_of(shared.reference)}) '
                f'is {shared.gap} frames away'
            )
            yield Problem('shared_sequence', shared.query, detail, (shared.reference,))


def _paths(survey: Survey) -> list[Path]:
    dataset = survey.dataset
    return [] if dataset is None else [dataset.image_path(i) for i in range(len(dataset))]
