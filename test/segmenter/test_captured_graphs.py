# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is captured, kept and forgotten, with a capture that needs no GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hier_seg_ros.segmenter.cuda.captured_graphs import CapturedGraphs, Compute, Outputs

CPU = torch.device('cpu')


class Capturing:
    """Captures as a GPU does: replaying computes from the same memory, into the same memory."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.captured = 0
        self.replayed = 0
        self._failure = failure

    def __call__(self, compute: Compute, inputs: Tensor) -> tuple[Callable[[], None], Outputs]:
        if self._failure is not None:
            raise self._failure
        self.captured += 1
        # To capture computes nothing.
        outputs = tuple(torch.full_like(output, -1) for output in compute(inputs))

        def replay() -> None:
            self.replayed += 1
            for output, new in zip(outputs, compute(inputs), strict=True):
                output.copy_(new)

        return replay, outputs


def doubled(images: Tensor) -> Outputs:
    return (images * 2, images.sum()[None])


def values(graphs: CapturedGraphs, key: object, number: int) -> list[int]:
    first, second = graphs.run(key, doubled, torch.tensor([number, number + 1]))
    return [*first.tolist(), *second.tolist()]


def test_what_comes_again_is_captured_and_computes_from_what_is_new() -> None:
    capturing = Capturing()
    graphs = CapturedGraphs(CPU, capturing)
    for number in range(5):
        assert values(graphs, 'a', number) == [2 * number, 2 * number + 2, 2 * number + 1]
        assert capturing.captured == (number > 0)
        assert capturing.replayed == number


def test_what_comes_once_is_not_captured() -> None:
    capturing = Capturing()
    graphs = CapturedGraphs(CPU, capturing)
    for number in range(50):
        values(graphs, number, number)
    assert capturing.captured == 0


def test_the_one_that_was_used_longest_ago_is_forgotten() -> None:
    capturing = Capturing()
    graphs = CapturedGraphs(CPU, capturing, most=3)
    for key in 'aabbccadd':
        values(graphs, key, 1)
    assert capturing.captured == 4
    # b was.
    for key in 'acd':
        values(graphs, key, 1)
    assert capturing.captured == 4
    values(graphs, 'b', 1)
    values(graphs, 'b', 1)
    assert capturing.captured == 5


def test_cleared_graphs_are_captured_anew() -> None:
    capturing = Capturing()
    graphs = CapturedGraphs(CPU, capturing)
    for _ in range(2):
        for number in range(3):
            assert values(graphs, 'a', number)[0] == 2 * number
        graphs.clear()
    assert capturing.captured == 2


@pytest.mark.parametrize(
    'failure', [RuntimeError('operation not permitted\nwhen capturing'), torch.OutOfMemoryError()]
)
def test_where_nothing_can_be_captured_it_runs_all_the_same(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    graphs = CapturedGraphs(CPU, Capturing(failure))
    with caplog.at_level(logging.WARNING):
        for number in range(4):
            for key in 'ab':
                assert values(graphs, key, number)[0] == 2 * number
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith('CUDA graphs: cannot be captured here')
    assert '\n' not in caplog.messages[0]


def test_an_input_that_its_owner_changes_afterwards_does_no_harm() -> None:
    graphs = CapturedGraphs(CPU, Capturing())
    images = torch.tensor([1, 2])
    for _ in range(3):
        first, _ = graphs.run('a', lambda given: (given, given.sum()[None]), images)
        images += 7
        assert first.tolist() == [int(images[0]) - 7, int(images[1]) - 7]
