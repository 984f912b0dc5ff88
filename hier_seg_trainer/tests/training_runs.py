# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of training share: steps by hand, and what a run has left behind."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.training.runs.run import Run, start_run
from hier_seg_trainer.training.teachers import Teacher
from hier_seg_trainer.training.training_data import TrainingData, open_training_data
from hier_seg_trainer.training.training_setup import build_loss, count_classes
from hier_seg_trainer.training.training_step import TrainingStep, train_iteration

CPU = torch.device('cpu')


class Trainer:
    """An experiment that is trained step by step, on batches of one's choice."""

    def __init__(self, experiment: Experiment, data: Path, teacher: Teacher | None = None) -> None:
        self.experiment = experiment
        opened = open_training_data(experiment, data)
        self.run: Run = start_run(experiment, opened.network_hierarchy, CPU)
        self.data: TrainingData = count_classes(self.run, experiment, opened, CPU)
        self.teacher = teacher
        self.loss = build_loss(experiment, self.data, teacher, CPU)
        self.batches = MixedBatches(self.data.streams, experiment.seed)

    def step(self, *batches: Batch) -> dict[str, float]:
        """Train one iteration on `batches`, by default those that are its turn."""
        count = self.experiment.accumulate
        first = self.run.iteration * count
        batches = batches or tuple(self.batches[first + place] for place in range(count))
        step = TrainingStep(self.run.network, self.loss, self.experiment)
        losses = train_iteration(self.run, step, batches, self.experiment, self.teacher)
        self.run.iteration += 1
        return losses


def make_batch(images: Tensor, **parts: Tensor) -> Batch:
    """Return a batch (N, 3, H, W) of which nothing is known but `parts`."""
    count, _, height, width = images.shape
    unknown = torch.full((count, height, width), UNLABELLED, dtype=torch.uint8)
    nowhere = torch.zeros((count, height, width), dtype=torch.bool)
    values: dict[str, Tensor] = {
        'images': images,
        'plain_images': images,
        'labels': unknown,
        'second_labels': unknown,
        'mix': torch.ones(count),
        'box_labels': unknown,
        'box_shapes': nowhere,
        'far_from_boxes': nowhere,
        'has_boxes': torch.zeros(count, dtype=torch.bool),
        'image_labels': unknown,
        **parts,
    }
    return Batch(**values)


def whole_state(run: Run) -> dict[str, Any]:
    """Return every tensor of a run by name."""
    state = {f'network.{k}': v for k, v in run.network.state_dict().items()}
    state |= {f'average.{k}': v for k, v in run.average.state_dict().items()}
    for index, entries in run.optimizer.state_dict()['state'].items():
        state |= {f'optimizer.{index}.{k}': v for k, v in entries.items() if v is not None}
    return state


def assert_same(one: Run, other: Run) -> None:
    """Check that two runs are the same, bit for bit."""
    first, second = whole_state(one), whole_state(other)
    assert first.keys() == second.keys()
    different = [k for k in first if not torch.equal(first[k], second[k])]
    assert not different
    assert one.iteration == other.iteration


def read_log(run_folder: Path) -> EventAccumulator:
    """Return what a run has logged for TensorBoard.

    TensorBoard reads a folder's files by name. A test that resumes within a second has files whose
    names differ in a running number only, and as text the tenth comes before the ninth. So they
    are read as one file, which is what lies in them one after another.
    """
    files = sorted((run_folder / 'tensorboard').iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with TemporaryDirectory() as folder:
        whole = Path(folder) / 'events.out.tfevents'
        whole.write_bytes(b''.join(path.read_bytes() for path in files))
        return EventAccumulator(str(whole), size_guidance={'images': 0}).Reload()


def logged_losses(run_folder: Path) -> dict[int, dict[str, float]]:
    """Return the logged losses by iteration and name."""
    events = read_log(run_folder)
    losses: dict[int, dict[str, float]] = {}
    for tag in events.Tags()['scalars']:
        if tag.startswith('loss'):
            for event in events.Scalars(tag):
                losses.setdefault(event.step, {})[tag] = event.value
    return losses
