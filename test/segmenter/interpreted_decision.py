# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fused decision, and the engine around it, in Triton's interpreter on the CPU.

Whether Triton compiles or interprets is settled when it is imported, and torch may import it: so
``test_gpu_engine.py`` runs this file in a process of its own, with ``TRITON_INTERPRET=1``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from model_folders import TINY
from numpy.typing import NDArray
from random_trees import random_tree, smooth_logits
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import DecisionOptions, Segmenter
from hier_seg_ros.segmenter.cuda import decision_kernel, gpu_engine
from hier_seg_ros.segmenter.cuda.captured_graphs import Compute, Outputs
from hier_seg_ros.segmenter.cuda.deciding_engine import DecidedImage
from hier_seg_ros.segmenter.cuda.decision_kernel import decide
from hier_seg_ros.segmenter.cuda.decision_tables import DecisionTables
from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription
from hier_seg_ros.segmenter.network import build_network

CPU = torch.device('cpu')
TYPES = [torch.float32, torch.float16, torch.bfloat16]
OPTIONS = [
    DecisionOptions(),
    DecisionOptions(void_decisions='replace'),
    DecisionOptions(min_confidence=0.4),
    DecisionOptions(void_decisions='replace', min_confidence=0.2),
    DecisionOptions(forbidden_classes=('node 1',)),
    DecisionOptions(allowed_classes=('node 0', 'node 3')),
    DecisionOptions(allowed_classes=('node 1',), forbidden_classes=('node 2',), min_confidence=0.1),
]


@pytest.fixture(autouse=True)
def large_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decide many pixels at once: the interpreter takes as long for one as for thousands."""
    monkeypatch.setattr(decision_kernel, '_BLOCK', 2048)


def captured(compute: Compute, inputs: Tensor) -> tuple[Callable[[], None], Outputs]:
    """Do what a graph does: run again on what is in the input's memory, into the outputs'."""
    outputs = compute(inputs)

    def replay() -> None:
        for output, new in zip(outputs, compute(inputs), strict=True):
            if output is not None and new is not None:
                output.copy_(new)

    return replay, outputs


def assert_decided_alike(
    rule: DecisionRule,
    logits: dict[str, Tensor],
    grid: Grid,
    *,
    confidence: bool,
    max_level: int,
) -> NDArray[np.uint8]:
    """Compare a batch with `DecisionRule.decide`; return the node ids."""
    tables = DecisionTables(rule, max_level, CPU)
    ids, scaled = decide(tables.pack(logits.__getitem__), grid, tables, confidence=confidence)
    different = 0
    for image in range(len(ids)):
        some = Logits(lambda name, image=image: logits[name][image], grid)
        expected, probability = rule.decide(some, confidence=confidence, max_level=max_level)
        same = ids[image] == expected
        different += int((~same).sum())
        if confidence:
            levels = (probability * 255).round().int()
            assert int((levels - scaled[image].int()).abs()[same].max()) <= 1
        else:
            assert scaled is None
    assert different <= 1e-4 * ids.numel()
    return ids.numpy()


def test_the_kernel_is_interpreted() -> None:
    assert isinstance(decision_kernel._decide, InterpretedFunction)


@pytest.mark.parametrize('seed', range(28))
def test_any_tree_size_batch_and_option_is_decided_as_by_the_rule(seed: int) -> None:
    random = np.random.default_rng(seed)
    hierarchy = random_tree(random, int(random.integers(4, 40)))
    rule = DecisionRule(
        hierarchy,
        [node.name for node in hierarchy.nodes if node.id < 2 or random.random() < 0.8],
        OPTIONS[seed % len(OPTIONS)],
    )
    height, width = (int(size) for size in random.integers(1, 24, 2))
    count = int(random.integers(1, 4))
    images = [smooth_logits(random, hierarchy, height, width) for _ in range(count)]
    logits = {
        name: torch.stack([image[name] for image in images]).to(TYPES[seed % 3])
        for name in images[0]
    }
    if seed % 2:
        logits = {
            name: values.contiguous(memory_format=torch.channels_last)
            for name, values in logits.items()
        }
    scale_y, scale_x = random.uniform(0.7, 6.0, 2)
    # The grid may reach beyond the image.
    grid = Grid(
        max(1, int(height * scale_y * random.uniform(0.8, 1.0))),
        max(1, int(width * scale_x * random.uniform(0.8, 1.0))),
        float(scale_y),
        float(scale_x),
    )
    max_level = int(random.integers(1, hierarchy.depth + 2))
    for confidence in (True, False):
        assert_decided_alike(rule, logits, grid, confidence=confidence, max_level=max_level)


def test_a_chain_and_a_tree_of_all_ids_are_decided() -> None:
    random = np.random.default_rng(3)
    chain = Hierarchy(
        {
            'format': 1,
            'name': 'chain',
            'nodes': [
                {
                    'id': 254 - number,
                    'name': f'node {number}',
                    'color': [number, 0, 0],
                    'parent': f'node {number - 1}' if number else None,
                }
                for number in range(12)
            ],
        }
    )
    deepest = []
    for hierarchy in (chain, random_tree(random, 255)):
        rule = DecisionRule(
            hierarchy, [n.name for n in hierarchy.nodes], DecisionOptions('replace')
        )
        logits = smooth_logits(random, hierarchy, 9, 11)
        batch = {name: values[None] for name, values in logits.items()}
        ids = assert_decided_alike(
            rule, batch, Grid(36, 44, 4.0, 4.0), confidence=True, max_level=hierarchy.depth
        )
        deepest.append(ids.min())
    assert deepest[0] == 254 - 11


@pytest.mark.parametrize('block', [16, 256])
def test_the_pixels_of_several_programs_are_all_decided(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_kernel, '_BLOCK', block)
    random = np.random.default_rng(8)
    hierarchy = random_tree(random, 10)
    rule = DecisionRule(hierarchy, [n.name for n in hierarchy.nodes], DecisionOptions('replace'))
    logits = {name: v[None] for name, v in smooth_logits(random, hierarchy, 5, 6).items()}
    ids = assert_decided_alike(
        rule, logits, Grid(17, 23, 3.5, 4.0), confidence=True, max_level=hierarchy.depth
    )
    assert len(np.unique(ids)) > 3


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('void_decisions', ['keep', 'replace'])
@pytest.mark.parametrize('classifier', [0, 1])
def test_pixels_whose_logits_are_not_finite_stay_at_the_parent(
    value: float, void_decisions: str, classifier: int
) -> None:
    random = np.random.default_rng(4)
    hierarchy = random_tree(random, 9)
    rule = DecisionRule(
        hierarchy, [node.name for node in hierarchy.nodes], DecisionOptions(void_decisions)
    )
    name = rule.choices[classifier].name
    for position in (0, len(rule.choices[classifier].logit_indices) - 1):
        logits = smooth_logits(random, hierarchy, 10, 15)
        logits[name][position, 4:6, 3:9] = value
        batch = {other: values[None] for other, values in logits.items()}
        for confidence in (True, False):
            ids = assert_decided_alike(
                rule, batch, Grid(40, 60, 4.0, 4.0), confidence=confidence, max_level=9
            )
            if classifier == 0:
                assert (ids[0, 18:22, 14:34] == UNLABELLED).all()


def test_the_kernel_is_tried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_engine.try_kernel(CPU)
    wrong = torch.full((1, 1, 1), UNLABELLED, dtype=torch.uint8)
    monkeypatch.setattr(gpu_engine, 'decide', lambda *_, **__: (wrong, None))
    with pytest.raises(RuntimeError, match='decides wrongly'):
        gpu_engine.try_kernel(CPU)


def tiny_segmenter(seed: int) -> Segmenter:
    """Return a network that decides all kinds of things, with a long side of 64 pixels."""
    random = np.random.default_rng(seed)
    hierarchy = random_tree(random, 14)
    torch.manual_seed(seed)
    network = build_network(TINY, hierarchy)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    names = tuple(node.name for node in hierarchy.nodes if node.id < 2 or random.random() < 0.9)
    description = ModelDescription('tiny', TINY, InputOptions(64, (0.5,) * 3, (0.5,) * 3), names)
    return Segmenter(description, hierarchy, network, device='cpu')


def decided(
    engine: GpuEngine,
    segmenter: Segmenter,
    images: list[NDArray[np.uint8]],
    *,
    confidence: bool = True,
    max_level: int = 99,
) -> list[DecidedImage]:
    """Decide images as one batch, which `Segmenter.segment` does on GPUs only."""
    with torch.inference_mode():
        return engine.decide(
            segmenter._stack(images),
            segmenter._prepared,
            segmenter.decision_rule,
            confidence=confidence,
            max_level=max_level,
        )


@pytest.mark.parametrize('seed', range(2))
def test_the_engine_decides_batches_as_the_plain_form_does(seed: int) -> None:
    segmenter = tiny_segmenter(seed)
    engine = GpuEngine(segmenter._network, segmenter._root, CPU, 'float32', captured)
    random = np.random.default_rng(seed)
    kinds = set()
    # Sizes come again, so that they are captured, and options change in between.
    for options in (*OPTIONS[:4], OPTIONS[0]):
        segmenter.set_decision_options(options)
        for shape, count in (((33, 47, 3), 2), ((60, 51, 3), 1)):
            images = [random.integers(0, 256, shape, np.uint8) for _ in range(count)]
            for arguments in ({}, {'confidence': False, 'max_level': 1}):
                expected = segmenter.segment(images, **arguments)
                maps = decided(engine, segmenter, images, **arguments)
                for (ids, confidence, finite), result in zip(maps, expected, strict=True):
                    same = ids == result.finest
                    assert (~same).mean() <= 1e-4
                    assert finite
                    assert (confidence is not None) == result.has_confidence
                    if confidence is not None:
                        levels = confidence.astype(int) - result.confidence
                        assert np.abs(levels[same]).max() <= 1
                    kinds |= set(np.unique(ids))
    assert len(kinds) > 4


@pytest.mark.parametrize('precision', ['float16', 'bfloat16'])
def test_a_reduced_precision_decides_by_the_logits_of_such_a_network(precision: str) -> None:
    segmenter = tiny_segmenter(3)
    engine = GpuEngine(segmenter._network, segmenter._root, CPU, precision, captured)
    assert {p.dtype for p in segmenter._network.parameters()} == {torch.float32}
    segmenter.engine = engine
    image = np.random.default_rng(1).integers(0, 256, (40, 64, 3), np.uint8)
    with torch.inference_mode():
        inputs, grid = segmenter._prepared(torch.from_numpy(image)[None])
        network = engine._network
        features = network.features(inputs.to(getattr(torch, precision)))
        logits = Logits(lambda name: network.logits(features, name)[0], grid)
        expected, _ = segmenter.decision_rule.decide(logits, confidence=False, max_level=9)
        assert logits['root'].dtype == getattr(torch, precision)
    for _ in range(2):
        (result,) = segmenter.segment([image])
        assert (result.finest != expected.numpy()).mean() <= 1e-4
    assert segmenter.engine is engine
    # What asks for logits gets them from the same network.
    assert torch.equal(segmenter.logits(image)['root'], logits['root'].float())


def test_logits_that_are_not_finite_are_flagged_for_their_image_alone() -> None:
    segmenter = tiny_segmenter(5)
    engine = GpuEngine(segmenter._network, segmenter._root, CPU, 'float32', captured)
    segmenter._shift = torch.tensor([0.0, float('inf')]).reshape(2, 1, 1, 1)
    images = [np.full((64, 64, 3), 9, np.uint8)] * 2
    for _ in range(2):
        fine, broken = decided(engine, segmenter, images)
        assert (fine.finite, broken.finite) == (True, False)
        assert (broken.ids == UNLABELLED).all()
        assert broken.confidence is not None and not broken.confidence.any()
        assert (fine.ids != UNLABELLED).any()
