# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two processes with half of a batch each learn what one process learns from the whole batch.

Run as a program, this file is one of the two processes.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.loss.targets import build_targets, supervised_nodes

PROCESSES = 2
SIZE, STRIDE = (8, 12), 2
GRID = Grid(*SIZE, STRIDE, STRIDE)
IMAGES = 6
TREE = Hierarchy(
    {
        'format': 1,
        'name': 'test',
        'nodes': [
            {'id': 10 * i, 'name': name, 'color': [i, i, i], 'parent': parent}
            for i, (name, parent) in enumerate(
                {
                    'sky': None,
                    'sign': None,
                    'road': None,
                    'stop': 'sign',
                    'yield': 'sign',
                    'lane': 'road',
                }.items()
            )
        ],
    }
)
OPTIONS = {
    'defaults': LossOptions(),
    'shapes': LossOptions((1.0, 0.5), 'shape', boxes_teach_ancestors=True),
    'smoothed focal': LossOptions(pixel_loss='focal', label_smoothing=0.1, box_pixels='box'),
    'pooled': LossOptions(
        (1.0,), image_labels='pooled', image_labels_teach_ancestors=True, image_label_weight=0.3
    ),
    'unlabelled': LossOptions(unlabelled_outside_boxes=True, box_pixels='shape'),
    'teachers': LossOptions((1.0,), self_training_weight=0.5, distillation_weight=0.5),
}
# What the images of the batch hold; image k goes to process k % 2.
BATCHES = {
    'all kinds': ('pixels', 'boxes', 'mixed', 'boxes', 'image', 'image'),
    'one process has pixels': ('pixels', 'boxes', 'mixed', 'boxes', 'pixels', 'image'),
    'one process has nothing': ('pixels', 'none', 'boxes', 'none', 'image', 'none'),
    'nobody has anything': ('none',) * 6,
}
CASES = [
    (kind, batch, weighted) for kind in OPTIONS for batch in BATCHES for weighted in (False, True)
]


def make_batch(kinds: tuple[str, ...]) -> tuple[Batch, Tensor]:
    """Return a batch and a teacher's node ids."""
    generator = torch.Generator().manual_seed(4)
    ids = torch.tensor([node.id for node in TREE.nodes] + [UNLABELLED], dtype=torch.uint8)

    def random_ids() -> Tensor:
        return ids[torch.randint(len(ids), SIZE, generator=generator)]

    shape = (len(kinds), *SIZE)
    maps = {field.name: torch.full(shape, UNLABELLED, dtype=torch.uint8) for field in fields(Batch)}
    maps['mix'] = torch.ones(len(kinds))
    maps['box_shapes'] = torch.zeros(shape, dtype=torch.bool)
    maps['far_from_boxes'] = torch.zeros(shape, dtype=torch.bool)
    maps['has_boxes'] = torch.tensor([kind == 'boxes' for kind in kinds])
    pseudo_labels = torch.full(shape, UNLABELLED, dtype=torch.uint8)
    for image, kind in enumerate(kinds):
        if kind in ('pixels', 'mixed'):
            maps['labels'][image] = random_ids()
        if kind == 'mixed':
            maps['second_labels'][image] = random_ids()
            maps['mix'][image] = 0.3
        if kind == 'boxes':
            left = 2 * image
            name = 'stop' if image % 2 else 'yield'
            maps['box_labels'][image, 2:6, left : left + 6] = TREE.node(name).id
            maps['box_shapes'][image, 3:5, left : left + 5] = True
            maps['far_from_boxes'][image, 7] = True
            pseudo_labels[image, :, ::image] = TREE.node('sky').id
        if kind == 'image':
            maps['image_labels'][image] = TREE.node('stop').id
            maps['image_labels'][image, :, image:] = TREE.node('yield').id
    return Batch(**maps), pseudo_labels


def evaluate(
    kind: str, kinds: tuple[str, ...], weighted: bool, rank: int, processes: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the losses of the images of `rank` and the gradients of a tiny network's weights."""
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(IMAGES, 4, 4, 6, generator=generator)
    sizes = {c.name: len(c.nodes) + 1 for c in TREE.classifiers}
    weights = {name: torch.randn(size, 4, generator=generator) for name, size in sizes.items()}
    teacher = {
        name: torch.randn(IMAGES, size, 4, 6, generator=generator)[rank::processes]
        for name, size in sizes.items()
    }
    for weight in weights.values():
        weight.requires_grad_()
    batch, pseudo_labels = make_batch(kinds)
    batch = Batch(**{f.name: getattr(batch, f.name)[rank::processes] for f in fields(Batch)})
    weight_of_id = 1.0 + torch.arange(256) % 7 if weighted else None
    names = supervised_nodes(TREE, [node.name for node in TREE.nodes])
    loss = HierarchicalLoss(
        build_targets(TREE, names, weight_of_id),
        {TREE.node('stop').id, TREE.node('yield').id},
        OPTIONS[kind],
    )

    def logits_of(name: str) -> Tensor:
        return torch.einsum('kc,nchw->nkhw', weights[name], features[rank::processes])

    teaching: dict[str, Any] = {}
    if kind == 'teachers':
        teaching['pseudo_labels'] = pseudo_labels[rank::processes]
        teaching['teacher'] = Logits(teacher.__getitem__, GRID)
    losses = loss(Logits(logits_of, GRID), batch, **teaching)
    total = torch.stack(list(losses.values())).sum()
    gradients = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    # With several processes no branch may be missing: the others would wait for it.
    assert total.requires_grad or processes == 1
    if total.requires_grad:
        found = torch.autograd.grad(total, list(weights.values()), allow_unused=processes == 1)
        for name, gradient in zip(weights, found, strict=True):
            if gradient is not None:
                gradients[name] = gradient
    return {name: value.detach() for name, value in losses.items()}, gradients


def main(rank: int, store: str, output: str) -> None:
    """Evaluate all cases as process `rank` and write them to `output`."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=PROCESSES
    )
    results = [
        evaluate(kind, BATCHES[batch], weighted, rank, PROCESSES) for kind, batch, weighted in CASES
    ]
    torch.save(results, output)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def of_processes(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """Return for each process the losses and gradients of all cases."""
    folder = tmp_path_factory.mktemp('processes')
    outputs = [folder / f'{rank}.pt' for rank in range(PROCESSES)]
    arguments = [sys.executable, str(Path(__file__).resolve())]
    running = [
        subprocess.Popen(
            [*arguments, str(rank), str(folder / 'store'), str(output)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, output in enumerate(outputs)
    ]
    try:
        for process in running:
            message, _ = process.communicate(timeout=300)
            assert process.returncode == 0, message
    finally:
        for process in running:
            process.kill()
    return [torch.load(output, weights_only=True) for output in outputs]


@pytest.mark.parametrize(('kind', 'batch', 'weighted'), CASES)
def test_the_mean_of_two_processes_is_the_loss_of_one(
    kind: str, batch: str, weighted: bool, of_processes: list[list[Any]]
) -> None:
    number = CASES.index((kind, batch, weighted))
    expected_losses, expected_gradients = evaluate(kind, BATCHES[batch], weighted, 0, 1)
    found = [process[number] for process in of_processes]
    for position, expected in enumerate((expected_losses, expected_gradients)):
        assert all(list(process[position]) == list(expected) for process in found)
        for name, value in expected.items():
            mean = sum(process[position][name] for process in found) / PROCESSES
            torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-6, msg=name)


def test_every_loss_had_something_to_learn_from() -> None:
    """So that the comparison above compares more than zeros."""
    for kind in OPTIONS:
        losses, gradients = evaluate(kind, BATCHES['all kinds'], False, 0, 1)
        silent = {name for name, value in losses.items() if value == 0}
        # Image labels are of "sign" classes, and teach those above only where an option says so.
        assert silent <= {'image_labels/root', 'image_labels/road'}, kind
        assert all(gradient.any() for gradient in gradients.values())


def test_a_process_with_nothing_to_learn_has_exactly_no_loss(
    of_processes: list[list[Any]],
) -> None:
    for (kind, batch, _), (losses, gradients) in zip(CASES, of_processes[1], strict=True):
        if batch != 'one process has nothing':
            continue
        for name, value in losses.items():
            # A teacher to distil has something to say about every image.
            assert (value == 0) != (name.startswith('distillation')), (kind, name)
        if kind != 'teachers':
            assert not any(gradient.any() for gradient in gradients.values())


if __name__ == '__main__':
    main(int(sys.argv[1]), *sys.argv[2:])
