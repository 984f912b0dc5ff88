# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training images per second, against the loop of torchvision's segmentation reference.

    python benchmarks/training_speed.py --data DATA --workers 2

Both loops train the light network from random weights with one softmax over CamVid's classes, on
the same images, with the same crop, batch, optimiser and number of loader processes. They take
turns in one process, so that what else the machine does meets both. The reference does what
torchvision's ``references/segmentation`` does for an iteration: its preset of transforms (resize,
flip, crop, normalise), cross-entropy at full resolution, SGD. Ours does what ``hier-seg train``
does, which is more: changes of colour, averaged weights, and losses by name.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter.network import build_network
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.options.parsing import parse
from hier_seg_trainer.training.batch_loading import read_batches
from hier_seg_trainer.training.runs.run import start_run
from hier_seg_trainer.training.training_data import TrainingData, open_training_data
from hier_seg_trainer.training.training_setup import build_loss
from hier_seg_trainer.training.training_step import TrainingStep, train_iteration

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
SCALE = (0.75, 2.0)
WARM_UP_STEPS = 3

Step = Callable[[], float]


@dataclass
class Timing:
    """Seconds of the timed steps of one loop, and how many of them it waited for data."""

    steps: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


def main() -> int:
    """Run the benchmark; print and, if asked to, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, required=True, help='the folder that holds camvid/')
    parser.add_argument('--steps', type=int, default=8, help='timed steps per round (default 8)')
    parser.add_argument('--rounds', type=int, default=3, help='turns of each loop (default 3)')
    parser.add_argument('--workers', type=int, default=2, help='loader processes (default 2)')
    parser.add_argument('--batch', type=int, default=8, help='images per step (default 8)')
    parser.add_argument('--crop', type=int, nargs=2, default=(352, 480), metavar=('H', 'W'))
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    device = torch.device(options.device)

    loops: dict[str, Callable[[], Iterator[float]]] = {
        'reference': lambda: reference_loop(_experiment(options, False), options, device),
        'ours': lambda: our_loop(_experiment(options, False), options, device),
        'ours, bfloat16': lambda: our_loop(_experiment(options, True), options, device),
    }
    timings = {name: Timing() for name in loops}
    for turn in range(options.rounds):
        for name, loop in loops.items():
            _time(loop(), timings[name], options.steps)
            print(f'round {turn + 1}: {name}: {_images_per_second(timings[name], options):.2f}')
    result = _result(timings, options)
    print(json.dumps(result, indent=2))
    if options.json is not None:
        write_text(options.json, f'{json.dumps(result, indent=2)}\n')
    return 0


def _time(loop: Iterator[float], timing: Timing, steps: int) -> None:
    """Take the steps of a fresh loop and keep the time of all but the first ones."""
    for _ in range(WARM_UP_STEPS):
        next(loop)
    for _ in range(steps):
        began = time.perf_counter()
        waited = next(loop)
        timing.steps.append(time.perf_counter() - began)
        timing.waits.append(waited)


def our_loop(
    experiment: Experiment, options: argparse.Namespace, device: torch.device
) -> Iterator[float]:
    """Yield the seconds that each step of ``hier-seg train`` waited for its batch."""
    data = open_training_data(experiment, options.data)
    run = start_run(experiment, data.network_hierarchy, device)
    step = TrainingStep(run.network, build_loss(experiment, data, None, device), experiment)
    batches = read_batches(experiment, data, 0, device, options.workers)
    while True:
        began = time.perf_counter()
        batch = next(batches).to(device)
        waited = time.perf_counter() - began
        # Reads the losses, and so ends when the step has.
        train_iteration(run, step, [batch], experiment)
        run.iteration += 1
        yield waited


def reference_loop(
    experiment: Experiment, options: argparse.Namespace, device: torch.device
) -> Iterator[float]:
    """Yield the seconds that each step of the reference's loop waited for its batch."""
    torch.manual_seed(experiment.seed)
    data = open_training_data(experiment, options.data)
    network = build_network(experiment.network_options, data.network_hierarchy).to(device).train()
    criterion = nn.CrossEntropyLoss(ignore_index=UNLABELLED)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=experiment.optimizer.learning_rate,
        momentum=experiment.optimizer.momentum,
        weight_decay=experiment.optimizer.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, experiment.iterations, 0.9)
    dataset = ReferenceImages(data, tuple(options.crop))
    (classifier,) = data.network_hierarchy.classifiers
    while True:
        loader = DataLoader(
            dataset, options.batch, shuffle=True, num_workers=options.workers, drop_last=True
        )
        batches = iter(loader)
        for _ in range(len(loader)):
            began = time.perf_counter()
            images, labels = next(batches)
            images, labels = images.to(device), labels.to(device)
            waited = time.perf_counter() - began
            logits = network(images)[classifier.name]
            dense = functional.interpolate(
                logits, images.shape[-2:], mode='bilinear', align_corners=False
            )
            loss = criterion(dense, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            loss.item()
            yield waited


class ReferenceImages(Dataset[tuple[Tensor, Tensor]]):
    """CamVid through the reference's preset of transforms for training."""

    def __init__(self, data: TrainingData, crop: tuple[int, int]) -> None:
        """Take the images of the experiment's only data set."""
        self._dataset = data.streams[0].dataset
        (classifier,) = data.network_hierarchy.classifiers
        self._class_of_id = np.full(256, UNLABELLED, np.uint8)
        for place, node in enumerate(classifier.nodes):
            self._class_of_id[node.id] = place
        short_side = min(self._dataset[0].image.size)
        self._transforms = v2.Compose(
            [
                v2.PILToTensor(),
                v2.RandomResize(int(SCALE[0] * short_side), int(SCALE[1] * short_side)),
                v2.RandomHorizontalFlip(0.5),
                v2.RandomCrop(
                    crop, pad_if_needed=True, fill={tv_tensors.Mask: UNLABELLED, 'others': 0}
                ),
                v2.ToDtype({tv_tensors.Mask: torch.int64, 'others': torch.float32}, scale=True),
                v2.Normalize(MEAN, DEVIATION),
            ]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a normalised crop (3, H, W) and its classes (H, W), 255 where unlabelled."""
        sample = self._dataset[index]
        classes = tv_tensors.Mask(torch.from_numpy(self._class_of_id[sample.labels]))
        return self._transforms(sample.image, classes)


def _experiment(options: argparse.Namespace, mixed_precision: bool) -> Experiment:
    content = {
        'name': 'benchmark',
        'hierarchy': 'street_108',
        'flat': True,
        'network': 'light',
        'initial_weights': 'random',
        'input': {
            'long_side': 1024,
            'mean': list(MEAN),
            'standard_deviation': list(DEVIATION),
        },
        'crop': list(options.crop),
        'data': [
            {
                'format': 'camvid',
                'path': 'camvid',
                'images_per_batch': options.batch,
                'scale': list(SCALE),
                'flip': True,
            }
        ],
        'iterations': 100000,
        'optimizer': {'name': 'sgd', 'learning_rate': 0.01, 'weight_decay': 0.0001},
        'schedule': {'name': 'poly'},
        'automatic_mixed_precision': mixed_precision,
    }
    return parse(Experiment, content)


def _images_per_second(timing: Timing, options: argparse.Namespace) -> float:
    return options.batch / statistics.median(timing.steps)


def _result(timings: dict[str, Timing], options: argparse.Namespace) -> dict[str, Any]:
    speed = {name: _images_per_second(timing, options) for name, timing in timings.items()}
    return {
        'command': ' '.join(['python', *sys.argv]),
        'torch': torch.__version__,
        'torchvision': torchvision.__version__,
        'device': options.device,
        'cores': len(os.sched_getaffinity(0)),
        'images_per_step': options.batch,
        'crop': list(options.crop),
        'timed_steps': options.steps * options.rounds,
        'images_per_second': {name: round(value, 3) for name, value in speed.items()},
        'ratio': {
            name: round(value / speed['reference'], 3)
            for name, value in speed.items()
            if name != 'reference'
        },
        'share_waiting_for_data': {
            name: round(sum(timing.waits) / sum(timing.steps), 4)
            for name, timing in timings.items()
        },
    }


if __name__ == '__main__':
    sys.exit(main())
