# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one sees of a run: TensorBoard and the progress bar."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.label_spaces.node_sets import shown_as
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_ros.segmenter.segmenter import Segmenter, scaled_size
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.datasets.samples import StreetDataset, node_sets_of
from hier_seg_trainer.options.parsing import as_plain

FOLDER = 'tensorboard'
_PICTURES = 4
_PICTURE_LONG_SIDE = 640


class TrainingLog:
    """TensorBoard's files and the progress bar of one process; both stay off if not enabled.

    Raises
    ------
    HierSegError
        By any method: TensorBoard's files cannot be written.

    """

    def __init__(
        self, run_folder: Path, experiment: Experiment, iteration: int, enabled: bool
    ) -> None:
        """Begin after an iteration; what an earlier run logged later than that is dropped."""
        self._folder = run_folder / FOLDER
        self._experiment = experiment
        self._enabled = enabled
        self._progress = tqdm(
            total=experiment.iterations * experiment.images_per_step,
            initial=iteration * experiment.images_per_step,
            unit='image',
            smoothing=0.05,
            disable=not enabled,
        )
        self._threads_say = threading.excepthook
        if enabled:
            with self._writing():
                self._writer = SummaryWriter(str(self._folder), purge_step=iteration + 1)
                text = yaml.safe_dump(as_plain(experiment), sort_keys=False)
                self._writer.add_text('experiment', f'```\n{text}```', iteration)

    def __enter__(self) -> TrainingLog:
        """Return itself."""
        if self._enabled:
            threading.excepthook = self._thread_failed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files and the bar."""
        self._progress.close()
        if self._enabled:
            try:
                # What went wrong first is what is to be said.
                with self._writing() if error is None else suppress(OSError):
                    self._writer.close()
            finally:
                threading.excepthook = self._threads_say

    def step(
        self,
        iteration: int,
        losses: Mapping[str, float],
        learning_rate: float,
        waiting: float,
        computing: float,
    ) -> None:
        """Log one step of the optimiser.

        Parameters
        ----------
        iteration
            Its number, from 1.
        losses
            By name.
        learning_rate
            Of the parts outside the backbone.
        waiting
            Seconds until its batches were there.
        computing
            The other seconds.

        """
        if not self._enabled:
            return
        images = self._experiment.images_per_step
        seconds = waiting + computing
        scalars = {f'loss/{name}': value for name, value in losses.items()}
        scalars['loss_total'] = sum(losses.values())
        scalars['learning_rate'] = learning_rate
        scalars['speed/images_per_second'] = images / seconds
        scalars['speed/share_waiting_for_data'] = waiting / seconds
        self._add_scalars(scalars, iteration)
        self._progress.set_description(
            f'iteration {iteration}/{self._experiment.iterations}', refresh=False
        )
        self._progress.set_postfix(loss=f'{scalars["loss_total"]:.3f}', refresh=False)
        self._progress.update(images)

    def scores(self, iteration: int, name: str, numbers: Mapping[str, float]) -> None:
        """Log and print the scores on a data set."""
        if not self._enabled:
            return
        self._add_scalars({f'{name}/{key}': value for key, value in numbers.items()}, iteration)
        # Those of single levels and the like are for TensorBoard.
        text = ', '.join(f'{key} {value:.4f}' for key, value in numbers.items() if '/' not in key)
        self.say(f'iteration {iteration}: {name}: {text}')

    def pictures(
        self, iteration: int, segmenter: Segmenter, validation: Mapping[str, StreetDataset]
    ) -> None:
        """Log the first images of each data set with the decisions drawn over them."""
        if not self._enabled:
            return
        for name, dataset in validation.items():
            for index in range(min(_PICTURES, len(dataset))):
                picture = draw_prediction(segmenter, dataset, index)
                with self._writing():
                    self._writer.add_image(f'{name}/{index}', picture, iteration, dataformats='HWC')

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        if self._enabled:
            self._progress.write(text)

    def _thread_failed(self, failure: threading.ExceptHookArgs) -> None:
        """Leave out the traceback of TensorBoard's thread, whose error its next call raises."""
        own = type(failure.thread).__module__.startswith('tensorboard.')
        if not (own and issubclass(failure.exc_type, OSError)):
            self._threads_say(failure)

    def _add_scalars(self, scalars: Mapping[str, float], iteration: int) -> None:
        with self._writing():
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, iteration)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HierSegError(
                f'{self._folder}: cannot be written ({error}); the last checkpoint is kept: make '
                f'room and give the same command again'
            ) from error


def draw_prediction(segmenter: Segmenter, dataset: StreetDataset, index: int) -> NDArray[np.uint8]:
    """Return an image with the decisions over it, beside it with the labels if it has any.

    (H, W, 3) uint8 RGB, each of the two scaled down to a long side of 640 pixels.
    """
    sample = dataset[index]
    image = np.asarray(sample.image)
    (decided,) = segmenter.segment([image], confidence=False)
    pictures = [overlay(image, decided.finest, segmenter.hierarchy, 0.6)]
    if sample.labels is not None:
        labels = shown_as(node_sets_of(dataset))[sample.labels]
        pictures.insert(0, overlay(image, labels, segmenter.hierarchy, 0.6))
    height, width = scaled_size(image.shape[0], image.shape[1], _PICTURE_LONG_SIDE)
    smaller = [np.asarray(Image.fromarray(picture).resize((width, height))) for picture in pictures]
    return np.concatenate(smaller, axis=1)
