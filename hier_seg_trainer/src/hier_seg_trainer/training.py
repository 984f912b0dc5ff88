# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: one experiment file in, checkpoints and a model folder out."""

from __future__ import annotations

import copy
import functools
import math
import os
import random
import signal
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.resources import share_folder
from hier_seg_ros.segmenter.interpolation import Grid, upsample
from hier_seg_ros.segmenter.model_folder import ModelDescription
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.augmentation import CropOptions
from hier_seg_trainer.batches import Batch, MixedBatches, Stream
from hier_seg_trainer.configuration import (
    DataOptions,
    Experiment,
    OptimizerOptions,
    ScheduleOptions,
)
from hier_seg_trainer.datasets.camvid import CamVid
from hier_seg_trainer.datasets.gtsdb import Gtsdb
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation import evaluate_dataset, summary
from hier_seg_trainer.initial_weights import load_imagenet_weights
from hier_seg_trainer.loss import HierarchicalLoss, build_targets, supervised_nodes

DATASETS: dict[str, Callable[[Path, str, Hierarchy], StreetDataset]] = {
    'camvid': CamVid,
    'gtsdb': Gtsdb,
}
CHECKPOINT = 'checkpoint.pt'
CHECKPOINT_FORMAT = 1


def open_dataset(format_name: str, path: Path, split: str, hierarchy: Hierarchy) -> StreetDataset:
    """Return a data set by the name of its format; HierSegError if it cannot be used."""
    if format_name not in DATASETS:
        raise HierSegError(
            f'data format {format_name!r}: is not known; choose among {", ".join(DATASETS)}'
        )
    return DATASETS[format_name](path, split, hierarchy)


def load_hierarchy(name: str) -> Hierarchy:
    """Return a tree by name, as in config/hierarchies, or by the path of its file."""
    bundled = share_folder() / 'config' / 'hierarchies' / f'{name}.yaml'
    return Hierarchy.load(bundled if bundled.is_file() else Path(name))


@dataclass
class Run:
    """All that changes during training; a checkpoint holds it."""

    network: HierarchicalNetwork
    average: HierarchicalNetwork
    optimizer: torch.optim.Optimizer
    iteration: int
    initial_weights: str


def train(experiment: Experiment, data: Path, run_folder: Path, device: str, workers: int) -> Run:
    """Train to the end, from the last checkpoint in `run_folder` if there is one.

    `data` is the folder that the experiment's paths are relative to. Returns the finished run;
    the checkpoint in `run_folder` is then its last.
    """
    hierarchy = load_hierarchy(experiment.hierarchy)
    streams = [build_stream(entry, experiment, data, hierarchy) for entry in experiment.data]
    validation = [
        open_dataset(entry.format, data / entry.path, 'val', hierarchy) for entry in experiment.data
    ]
    named = frozenset().union(*(stream.dataset.node_names for stream in streams))
    supervised = supervised_nodes(hierarchy, named)
    target_device = torch.device(device)
    weights = None
    if experiment.class_balance > 0:
        weights = class_weights([stream.dataset for stream in streams], experiment.class_balance)
    targets = tuple(t.to(target_device) for t in build_targets(hierarchy, supervised, weights))
    box_ids = {
        hierarchy.node(name).id
        for stream in streams
        if hasattr(stream.dataset, 'boxes')
        for name in stream.dataset.node_names
    }
    loss = HierarchicalLoss(targets, box_ids, experiment.loss)

    run = start_run(experiment, hierarchy, target_device)
    run_folder.mkdir(parents=True, exist_ok=True)
    checkpoint = run_folder / CHECKPOINT
    if checkpoint.exists():
        load_checkpoint(run, checkpoint)
    loader = DataLoader(
        MixedBatches(streams, experiment.seed),
        sampler=range(run.iteration, experiment.iterations),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_one_thread,
        pin_memory=target_device.type == 'cuda',
    )
    writer = SummaryWriter(str(run_folder / 'tensorboard'), purge_step=run.iteration)
    progress = tqdm(
        _read(loader),
        initial=run.iteration,
        total=experiment.iterations,
        unit='iteration',
        smoothing=0.05,
    )
    with writer, _stop_signals() as stop:
        for batch in progress:
            if stop.is_set():
                save_checkpoint(run, checkpoint)
                break
            losses = train_iteration(run, batch.to(target_device), loss, experiment)
            run.iteration += 1
            total = sum(losses.values())
            if not math.isfinite(total):
                raise HierSegError(
                    f'iteration {run.iteration}: the loss is {total}; the last checkpoint is kept: '
                    f'lower the learning rate and resume'
                )
            progress.set_postfix(loss=f'{total:.3f}', refresh=False)
            for name, value in losses.items():
                writer.add_scalar(f'loss/{name}', value, run.iteration)
            rate = run.optimizer.param_groups[-1]['lr']
            writer.add_scalar('learning_rate', rate, run.iteration)
            finished = run.iteration == experiment.iterations
            if finished or run.iteration % experiment.checkpoint_every == 0:
                save_checkpoint(run, checkpoint)
            if finished or run.iteration % experiment.evaluate_every == 0:
                segmenter = build_segmenter(run, experiment, hierarchy, supervised, device)
                for dataset in validation:
                    scores = summary(evaluate_dataset(segmenter, dataset))
                    tqdm.write(f'{run.iteration} {dataset.name} {scores}')
                    for name, value in scores.items():
                        writer.add_scalar(f'{dataset.name}/{name}', value, run.iteration)
    return run


def _read(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Yield the batches; what is wrong with a file comes in one line, whoever read it."""
    try:
        yield from loader
    except HierSegError as error:
        # A data loader puts the traceback of its worker process before the message.
        message = str(error).strip().splitlines()[-1]
        raise HierSegError(message.split(f'{HierSegError.__name__}: ', 1)[-1]) from error


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM and Ctrl-C into an event, so that an iteration is finished and kept."""
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def train_iteration(
    run: Run, batch: Batch, loss: HierarchicalLoss, experiment: Experiment
) -> dict[str, float]:
    """Take one step of the optimiser; return the losses by name."""
    _set_learning_rate(run, experiment)
    run.network.train()
    mixed = torch.autocast(
        batch.images.device.type, torch.bfloat16, experiment.automatic_mixed_precision
    )
    height, width = batch.images.shape[-2:]
    stride = run.network.stride
    grid = Grid(height, width, stride, stride)
    with mixed:
        pseudo_labels = None
        teaching = experiment.self_training
        if 0 < teaching.start <= run.iteration:
            pseudo_labels = teacher_labels(
                run.average, batch, loss, grid, experiment.input, teaching.confidence
            )
        features = run.network.features(normalise(batch.images, experiment.input))

        # Once a classifier, and for the whole batch: batch normalisation must see the same images
        # in every branch, whichever of them the loss has pixels in.
        @functools.cache
        def logits_of(classifier: str) -> Tensor:
            return run.network.logits(features, classifier)

        losses = loss(logits_of, batch, grid, pseudo_labels)
    total = torch.stack(list(losses.values())).sum()
    run.optimizer.zero_grad(set_to_none=True)
    # A batch that no classifier has a pixel in depends on no weight.
    if total.requires_grad:
        total.backward()
    if experiment.optimizer.gradient_clip > 0:
        nn.utils.clip_grad_norm_(run.network.parameters(), experiment.optimizer.gradient_clip)
    run.optimizer.step()
    update_average(run.average, run.network, run.iteration, experiment.average_decay)
    return {name: float(value.detach()) for name, value in losses.items()}


@torch.no_grad()
def teacher_labels(
    teacher: HierarchicalNetwork,
    batch: Batch,
    loss: HierarchicalLoss,
    grid: Grid,
    image_options: Any,
    confidence: float,
) -> Tensor:
    """Return what `teacher` is sure of in images that have boxes only: (N, H, W) node ids.

    255 where its softmax value is below `confidence`, near boxes, and where it decides for a class
    that boxes teach: those the boxes know better.
    """
    root = loss.targets[0]
    labels = torch.full_like(batch.labels, UNLABELLED)
    images = torch.nonzero(batch.has_boxes).flatten()
    if len(images) == 0:
        return labels
    plain = normalise(batch.plain_images[images], image_options)
    logits = teacher(plain, [root.classifier.name])[root.classifier.name]
    probability, decided = upsample(logits[:, root.logit_indices].float(), grid).softmax(1).max(1)
    nodes = root.classifier.nodes
    table = [nodes[index].id for index in root.logit_indices.tolist()[:-1]]
    by_boxes = {int(root.index_of_id[box_id]) for box_id in loss.box_ids}
    table = [UNLABELLED if place in by_boxes else node for place, node in enumerate(table)]
    ids = torch.tensor([*table, UNLABELLED], dtype=torch.uint8, device=labels.device)[decided]
    sure = (probability >= confidence) & batch.far_from_boxes[images]
    labels[images] = torch.where(sure, ids, UNLABELLED)
    return labels


def normalise(images: Tensor, options: Any) -> Tensor:
    """Return uint8 RGB images (N, 3, H, W) as the network's input."""
    mean = torch.tensor(options.mean, device=images.device).reshape(1, 3, 1, 1)
    deviation = torch.tensor(options.standard_deviation, device=images.device).reshape(1, 3, 1, 1)
    scaled = (images.float() / 255.0 - mean) / deviation
    return scaled.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, iteration: int, decay: float) -> None:
    """Move the averaged weights towards the current ones; faster while there are few to average."""
    decay = min(decay, (1 + iteration) / (10 + iteration))
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1.0 - decay)
        else:
            value.copy_(current[name])


def start_run(experiment: Experiment, hierarchy: Hierarchy, device: torch.device) -> Run:
    """Return an untrained run, the same for the same seed."""
    random.seed(experiment.seed)
    np.random.seed(experiment.seed)
    torch.manual_seed(experiment.seed)
    network = build_network(experiment.network_options, hierarchy)
    origin = 'random'
    if experiment.initial_weights == 'imagenet':
        origin = load_imagenet_weights(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = experiment.batch_norm_momentum
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval().requires_grad_(False)
    if device.type == 'cpu':
        keep_depthwise_in_float32(network)
    return Run(network, average, build_optimizer(network, experiment.optimizer), 0, origin)


def keep_depthwise_in_float32(network: nn.Module) -> None:
    """Take depthwise convolutions out of automatic mixed precision.

    On a CPU their backward pass in bfloat16 takes three to six times as long as in float32
    (PyTorch 2.15, channels last, AVX-512 BF16, three layers of EfficientNet-Lite0).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = functools.partial(  # type: ignore[method-assign]
                _in_float32, module.forward
            )


def _in_float32(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    with torch.autocast(inputs.device.type, enabled=False):
        return forward(inputs.float())


def build_optimizer(
    network: HierarchicalNetwork, options: OptimizerOptions
) -> torch.optim.Optimizer:
    """Return the optimiser; biases and normalisations are not decayed."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        key = (name.startswith('backbone.'), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    settings = [
        {
            'params': parameters,
            'factor': options.backbone_factor if in_backbone else 1.0,
            'weight_decay': options.weight_decay if decayed else 0.0,
        }
        for (in_backbone, decayed), parameters in groups.items()
    ]
    if options.name == 'sgd':
        return torch.optim.SGD(settings, lr=options.learning_rate, momentum=options.momentum)
    return torch.optim.AdamW(settings, lr=options.learning_rate)


def learning_rate_factor(options: ScheduleOptions, iteration: int, iterations: int) -> float:
    """Return the share of the full learning rate at `iteration` of `iterations`, in 0-1."""
    if iteration < options.warm_up:
        return (iteration + 1) / options.warm_up
    if options.name == 'step':
        return 0.5 ** sum(iteration >= halving for halving in options.halve_at)
    done = (iteration - options.warm_up) / max(1, iterations - options.warm_up)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _set_learning_rate(run: Run, experiment: Experiment) -> None:
    factor = learning_rate_factor(experiment.schedule, run.iteration, experiment.iterations)
    for group in run.optimizer.param_groups:
        group['lr'] = experiment.optimizer.learning_rate * factor * group['factor']


def class_weights(datasets: list[StreetDataset], power: float) -> Tensor:
    """Return (256,) float by node id: (median frequency / frequency) ** power, 0 if unseen.

    Frequencies are those of the pixel labels of all data sets together.
    """
    counts = np.zeros(256, np.int64)
    for dataset in datasets:
        if hasattr(dataset, 'boxes'):
            continue
        for index in range(len(dataset)):
            labels = dataset[index].labels
            if labels is not None:
                counts += np.bincount(labels.ravel(), minlength=256)
    counts[UNLABELLED] = 0
    weights = np.zeros(256, np.float32)
    seen = counts > 0
    if seen.any():
        weights[seen] = (np.median(counts[seen]) / counts[seen]) ** power
    return torch.from_numpy(weights)


def build_stream(
    entry: DataOptions, experiment: Experiment, data: Path, hierarchy: Hierarchy
) -> Stream:
    """Open a data set of the experiment with its share of the batch."""
    dataset = open_dataset(entry.format, data / entry.path, entry.split, hierarchy)
    if entry.flip and not dataset.may_flip:
        raise HierSegError(
            f'data {entry.format}: flip is true, but its signs have a direction; write flip: false'
        )
    crop = CropOptions(experiment.crop, entry.scale, entry.flip, entry.focus_on_boxes)
    signs = Gtsrb(data / entry.pasted_signs, hierarchy) if entry.pasted_signs else None
    return Stream(dataset, entry.images_per_batch, crop, experiment.colors, entry.paste, signs)


def build_segmenter(
    run: Run,
    experiment: Experiment,
    hierarchy: Hierarchy,
    supervised: tuple[str, ...],
    device: str,
) -> Segmenter:
    """Return a segmenter with the averaged weights of `run`."""
    description = ModelDescription(
        experiment.name, experiment.network_options, experiment.input, supervised
    )
    return Segmenter(description, hierarchy, copy.deepcopy(run.average), device=device)


def save_checkpoint(run: Run, path: Path) -> None:
    """Write a checkpoint; the one before is kept until this one is whole."""
    content = {
        'format': CHECKPOINT_FORMAT,
        'network': run.network.state_dict(),
        'average': run.average.state_dict(),
        'optimizer': run.optimizer.state_dict(),
        'iteration': run.iteration,
        'initial_weights': run.initial_weights,
    }
    partial = path.with_suffix('.partial')
    try:
        with partial.open('wb') as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise HierSegError(
            f'{path}: cannot be written ({error}); the checkpoint before it is kept'
        ) from error


def load_checkpoint(run: Run, path: Path) -> None:
    """Restore a run; HierSegError if the file is broken or of another network."""
    content = read_checkpoint(path)
    try:
        run.network.load_state_dict(content['network'])
        run.average.load_state_dict(content['average'])
        run.optimizer.load_state_dict(content['optimizer'])
        run.iteration = content['iteration']
        run.initial_weights = content['initial_weights']
    except (KeyError, ValueError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise HierSegError(
            f'{path}: does not fit this experiment ({reason}); give another run folder'
        ) from error


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Return a checkpoint's content, on the CPU; HierSegError if it cannot be read."""
    try:
        # torch.load does not look at the checksums.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f'its part {damaged} is damaged')
        content = torch.load(path, map_location='cpu', weights_only=True)
    # What torch.load raises for a file that is none depends on what it holds.
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        UnpicklingError,
    ) as error:
        reason = ' '.join(str(error).split())[:200]
        raise HierSegError(
            f'{path}: is no checkpoint ({reason}); remove it to start anew'
        ) from error
    if not isinstance(content, dict) or content.get('format') != CHECKPOINT_FORMAT:
        raise HierSegError(f'{path}: is no checkpoint of this version; remove it to start anew')
    return content


def _one_thread(_: int) -> None:
    # Ctrl-C, and often SIGTERM, reach the whole process group; the main process decides when to
    # stop, and a worker that died before would take the iteration with it.
    os.setpgid(0, 0)
    # The cores are the network's.
    torch.set_num_threads(1)
