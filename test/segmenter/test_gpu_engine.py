# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of a batch through a GPU, as far as a machine without one can tell."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.cuda.deciding_engine import DecidedImage
from hier_seg_ros.segmenter.cuda.torch_form import torch_engine_of
from hier_seg_ros.segmenter.engines.choice import BuildTorchEngine, choose_engine
from hier_seg_ros.segmenter.engines.engine import Engine
from hier_seg_ros.segmenter.engines.engine_options import EngineOptions
from hier_seg_ros.segmenter.engines.proof import Proof
from hier_seg_ros.segmenter.engines.torch_engine import TorchEngine

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / 'models' / 'street_lite0'
CUDA = torch.device('cuda')
NO_TRITON = 'needs Triton, which torch brings along where it supports CUDA'


def test_the_interpreted_kernel_decides_as_the_rule_does() -> None:
    pytest.importorskip('triton', reason=NO_TRITON)
    path = Path(__file__).with_name('interpreted_decision.py')
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', str(path)],
        cwd=REPOSITORY,
        env={**os.environ, 'TRITON_INTERPRET': '1'},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize('architecture', [75, 80, 87, 90, 120])
@pytest.mark.parametrize('kind', ['fp32', 'fp16', 'bf16'])
def test_the_kernel_compiles_for_gpus(
    architecture: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Turing to Blackwell and Jetson Orin: no GPU is needed for that."""
    triton = pytest.importorskip('triton', reason=NO_TRITON)
    if os.environ.get('TRITON_INTERPRET'):
        pytest.skip('Triton interprets instead of compiling')
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from hier_seg_ros.segmenter.cuda.decision_kernel import _decide

    if kind == 'bf16' and architecture < 80:
        pytest.skip('such a GPU has no bfloat16')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    pointers = {
        'logits': f'*{kind}', 'ids': '*u8', 'confidences': '*u8', 'reported': '*u8',
        'classifiers': '*i32', 'child_of_id': '*i32', 'options': '*fp32',
    }  # fmt: skip
    numbers = {'positions_per_row': 'fp32', 'positions_per_column': 'fp32'}
    # Triton takes every 1 for a constant: those of logits that are channels last, and those of one
    # classifier and one pixel.
    sizes = ['classifier_count', 'height', 'width', 'grid_height', 'grid_width']
    for confidence, with_softmax, ones in (
        (True, True, ['channel_stride']),
        (False, True, ['column_stride']),
        (False, False, [*sizes, 'row_stride', 'image_stride']),
    ):
        constants: dict[str, Any] = {
            'confidence': confidence,
            'with_softmax': with_softmax,
            'block': 256,
            **dict.fromkeys(ones, 1),
        }
        if not confidence:
            constants['confidences'] = None
        signature = {
            name: 'constexpr' if name in constants else pointers.get(name, numbers.get(name, 'i32'))
            for name in _decide.arg_names
        }
        compiled = triton.compile(
            ASTSource(_decide, signature, constants),
            target=GPUTarget('cuda', architecture, 32),
            options={'num_warps': 8},
        )
        assert compiled.asm['cubin']


def test_a_cpu_imports_nothing_of_it(untrained_model: Path) -> None:
    code = (
        'import sys\n'
        'from hier_seg_ros import Segmenter\n'
        f'Segmenter.load({str(untrained_model)!r}, "cpu", engine="torch")\n'
        'print([name for name in sys.modules if "gpu_engine" in name or "decision_kernel" in name])'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=300
    )
    assert result.stdout.strip() == '[]', result.stderr


def chosen_for_a_gpu(
    untrained_model: Path,
    options: EngineOptions,
    wrong: set[str],
    torch_engine: BuildTorchEngine,
) -> tuple[Engine, str, list[str]]:
    """Return the engine that is chosen where those of some precisions label wrongly."""
    plain = Segmenter.load(untrained_model, 'cpu', engine='torch', precision='float32')
    tried = []

    def segment(engine: Engine, images: Any) -> list[NDArray[np.uint8]]:
        label = 0
        if engine is not plain.engine:
            tried.append(engine.precision)
            label = int(engine.precision in wrong)
        return [np.full(image.shape[:2], label, np.uint8) for image in images]

    choice = choose_engine(
        options,
        plain._network,
        plain._root,
        CUDA,
        plain.engine,
        Proof(segment, plain.engine, 2),
        torch_engine,
    )
    return choice.engine, choice.problem, tried


@pytest.mark.parametrize(
    ('options', 'wrong', 'precision', 'tried'),
    [
        (EngineOptions(), set(), 'float16', ['float16']),
        (EngineOptions(), {'float16'}, 'float32', ['float16', 'float32']),
        (EngineOptions('torch', 'bfloat16'), set(), 'bfloat16', ['bfloat16']),
        (EngineOptions('torch', 'float32'), set(), 'float32', ['float32']),
    ],
)
def test_a_gpu_runs_the_fastest_precision_that_labels_rightly(
    options: EngineOptions,
    wrong: set[str],
    precision: str,
    tried: list[str],
    untrained_model: Path,
) -> None:
    pytest.importorskip('triton', reason=NO_TRITON)
    from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine

    engine, problem, were_tried = chosen_for_a_gpu(untrained_model, options, wrong, GpuEngine)
    assert isinstance(engine, GpuEngine)
    assert engine.precision == precision
    assert were_tried == tried
    # To find the precision that labels rightly is no problem.
    assert problem == ''


def test_a_gpu_that_labels_wrongly_in_every_way_gets_the_plain_form(untrained_model: Path) -> None:
    pytest.importorskip('triton', reason=NO_TRITON)
    from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine

    engine, problem, _ = chosen_for_a_gpu(
        untrained_model, EngineOptions(), {'float16', 'float32'}, GpuEngine
    )
    assert type(engine) is TorchEngine
    assert engine.precision == 'float32'
    assert problem.endswith('torch in float32 runs instead')


@pytest.mark.parametrize(
    'failure',
    [
        None,
        RuntimeError('Failed to find C compiler.\nPlease specify it'),
        PermissionError(13, 'Permission denied', '/root/.triton'),
    ],
    ids=['missing', 'no compiler', 'no folder'],
)
def test_where_triton_does_not_run_pytorch_decides_and_one_line_says_so(
    failure: Exception | None,
    untrained_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: torch.device) -> None:
        assert failure is not None
        raise failure

    if failure is None:
        monkeypatch.setitem(sys.modules, 'triton', None)
        for module in ('gpu_engine', 'decision_kernel'):
            monkeypatch.delitem(sys.modules, f'hier_seg_ros.segmenter.cuda.{module}', raising=False)
    else:
        pytest.importorskip('triton', reason=NO_TRITON)
        monkeypatch.setattr('hier_seg_ros.segmenter.cuda.gpu_engine.try_kernel', fail)
    with caplog.at_level(logging.WARNING):
        engine, problem, _ = chosen_for_a_gpu(
            untrained_model, EngineOptions(), set(), torch_engine_of(CUDA)
        )
    assert type(engine) is TorchEngine
    assert engine.precision == 'float16'
    assert problem == ''
    (line,) = caplog.messages
    assert 'install triton and a C compiler' in line
    assert '\n' not in line


class Deciding:
    """An engine that decides what it is told to, or raises."""

    name = 'torch'
    precision = 'float16'

    def __init__(self, label: int, failure: Exception | None = None) -> None:
        self.batches: list[tuple[int, ...]] = []
        self._label = label
        self._failure = failure

    def run(self, inputs: torch.Tensor) -> Any:
        raise AssertionError('it decides by itself')

    def decide(self, images: torch.Tensor, *_: Any, **__: Any) -> list[DecidedImage]:
        self.batches.append(tuple(images.shape))
        if self._failure is not None:
            raise self._failure
        return [
            DecidedImage(np.full(image.shape[:2], self._label, np.uint8), None, True)
            for image in images
        ]

    def forget_sizes(self) -> None:
        raise AssertionError('nobody asks for it')


@pytest.fixture
def segmenter(untrained_model: Path) -> Segmenter:
    """Return the plain form."""
    return Segmenter.load(untrained_model, 'cpu', engine='torch', precision='float32')


def test_what_an_engine_decides_is_the_result(segmenter: Segmenter) -> None:
    segmenter.engine = Deciding(7)
    (result,) = segmenter.segment([np.zeros((30, 40, 3), np.uint8)], max_level=2)
    assert (result.finest == 7).all()
    assert (result.max_level, result.has_confidence, result.finite) == (2, False, True)
    assert segmenter.engine.batches == [(1, 30, 40, 3)]


def test_an_engine_that_fails_in_deciding_gives_way_to_the_plain_form(
    segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    (expected,) = segmenter.segment([image])
    segmenter.engine = failing = Deciding(7, RuntimeError('an illegal\ninstruction'))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            (result,) = segmenter.segment([image])
            assert np.array_equal(result.finest, expected.finest)
    assert len(failing.batches) == 1
    assert caplog.messages == [segmenter.engine_problem]
    assert 'an illegal instruction' in segmenter.engine_problem


def test_memory_that_runs_out_is_no_reason_to_change_the_engine(segmenter: Segmenter) -> None:
    segmenter.engine = engine = Deciding(7, torch.cuda.OutOfMemoryError('2 GiB'))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        segmenter.segment([np.zeros((30, 40, 3), np.uint8)])
    assert segmenter.engine is engine


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize(('precision', 'share'), [('float32', 1e-3), ('float16', 1e-2)])
def test_a_gpu_labels_as_the_cpu_does(precision: str, share: float) -> None:
    from hier_seg_ros.segmenter.cuda.gpu_engine import GpuEngine
    from hier_seg_ros.segmenter.engines.proof import photographs

    plain = Segmenter.load(MODEL, 'cpu', engine='torch', precision='float32')
    some = Segmenter.load(MODEL, 'cuda', engine='torch', precision=precision)
    assert isinstance(some.engine, GpuEngine), some.engine_problem
    images = photographs(3)
    # The second time a graph is captured, and from then on replayed, with other images.
    for batch in (images, images, images[::-1], [image[::-1] for image in images]):
        for result, expected in zip(some.segment(batch), plain.segment(batch), strict=True):
            assert np.mean(result.finest != expected.finest) <= share
