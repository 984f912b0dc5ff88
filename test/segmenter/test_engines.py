# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines against the plain form, and what happens where they fail or are not there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.engines import choice
from hier_seg_ros.segmenter.engines.engine import Engine, EngineOutputs
from hier_seg_ros.segmenter.engines.proof import Proof, photographs
from hier_seg_ros.segmenter.network import (
    DEEPLABV3_RESNET50,
    LIGHT,
    LIGHT_DETAILED,
    build_network,
)

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'street_lite0'
LIBRARIES = ('openvino', 'onnxruntime')
NETWORKS = {
    'details': replace(LIGHT_DETAILED, shared_channels=16, branch_channels=4, detail_channels=4),
    'no details': replace(LIGHT, shared_channels=16, branch_channels=4),
    'no upsampling': replace(
        LIGHT, backbone='resnet18', shared_channels=16, branch_channels=0, learned_upsampling=False
    ),
    'one stride': replace(
        LIGHT, backbone='resnet18', fused_strides=(16,), shared_channels=16, image_pooling=False
    ),
    'other backbone': replace(LIGHT, backbone='mobilenetv3_small_050', shared_channels=16),
    'dilated': replace(
        DEEPLABV3_RESNET50,
        backbone='resnet18',
        backbone_options={'output_stride': 16},
        fused_strides=(16,),
        shared_channels=16,
    ),
    'instance normalisation': replace(LIGHT, shared_channels=16, normalization='instance'),
}


def importable(name: str) -> str:
    """Return the engine, or skip the test where its library is not installed."""
    pytest.importorskip(name)
    return name


@pytest.mark.parametrize('engine', LIBRARIES)
@pytest.mark.parametrize('shape', NETWORKS)
def test_any_network_gives_the_same_logits_and_features(
    street_tree: Hierarchy, engine: str, shape: str
) -> None:
    importable(engine)
    torch.manual_seed(0)
    network = build_network(NETWORKS[shape], street_tree)
    for module in network.modules():
        # As trained ones are, far from what they begin with.
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    cpu = torch.device('cpu')
    plain = choice.TorchEngine(network, 'root', cpu, 'float32')
    other = choice._engine(engine, 'float32', 1, network, 'root', cpu)
    for height, width in ((64, 96), (96, 64), (32, 160)):
        inputs = torch.randn(1, 3, height, width).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            expected = plain.run(inputs)
            outputs = other.run(inputs)
        tolerance = 1e-3 * float(expected.root.abs().max())
        torch.testing.assert_close(outputs.root, expected.root, rtol=0.0, atol=tolerance)
        for got, wanted in zip(outputs.features, expected.features, strict=True):
            if wanted is None:
                assert got is None
            else:
                tolerance = 1e-3 * float(wanted.abs().max())
                torch.testing.assert_close(got, wanted, rtol=0.0, atol=tolerance)


@pytest.fixture(scope='module')
def street() -> Segmenter:
    return Segmenter.load(MODEL, 'cpu', engine='torch')


@pytest.mark.parametrize(
    ('engine', 'precision', 'limit'),
    [
        ('openvino', 'float32', 0.001),
        ('openvino', 'bfloat16', 0.01),
        ('onnxruntime', 'float32', 0.001),
    ],
)
def test_labels_of_photographs_of_any_size_are_those_of_the_plain_form(
    street: Segmenter, engine: str, precision: str, limit: float
) -> None:
    importable(engine)
    if precision == 'bfloat16' and not choice._has_native_bfloat16():
        pytest.skip('this processor has no bfloat16')
    segmenter = Segmenter.load(MODEL, 'cpu', engine=engine, precision=precision)
    assert (segmenter.engine.name, segmenter.engine.precision) == (engine, precision)
    (photograph,) = photographs(1)
    cuts = [
        photograph[60:420, 100:580],
        photograph[::2, ::2],
        photograph[:, ::-1],
        np.tile(photograph, (1, 2, 1)),
        photograph[:1, :1],
        np.tile(photograph[:48], (1, 25, 1)),
    ]
    different = pixels = 0
    for image in cuts:
        (got,) = segmenter.segment([image], confidence=False)
        (expected,) = street.segment([image], confidence=False)
        different += int((got.finest != expected.finest).sum())
        pixels += got.finest.size
        assert got.finest.shape == image.shape[:2]
    assert different <= limit * pixels
    assert segmenter.engine.name == engine and segmenter.engine_problem == ''


def test_every_classifier_has_float32_logits_from_features_of_a_reduced_precision(
    street: Segmenter,
) -> None:
    importable('openvino')
    if not choice._has_native_bfloat16():
        pytest.skip('this processor has no bfloat16')
    segmenter = Segmenter.load(MODEL, 'cpu', engine='openvino', precision='bfloat16')
    (photograph,) = photographs(1)
    logits, expected = segmenter.logits(photograph), street.logits(photograph)
    for classifier in segmenter.hierarchy.classifiers:
        got, wanted = logits[classifier.name], expected[classifier.name]
        assert got.dtype == torch.float32
        assert (got - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_results_stay_as_they_are_while_others_are_computed(street: Segmenter) -> None:
    importable('openvino')
    segmenter = Segmenter.load(MODEL, 'cpu', engine='openvino', precision='float32')
    image, other = photographs(2)
    kept = segmenter.logits(image)['root'][:, 5:9]
    before = kept.clone()
    again = [segmenter.logits(other)['root'] for _ in range(3)]
    assert torch.equal(kept, before)
    assert torch.equal(again[0], again[2])
    assert not torch.equal(again[0][:, 5:9], before)


class ChangedEngine:
    """The plain form with something done to the root's logits."""

    name = 'changed'
    precision = 'float32'

    def __init__(self, plain: Engine, share: float = 0.0, fails_after: int = 1 << 30) -> None:
        self.plain = plain
        self.share = share
        self.fails_after = fails_after
        self.runs = 0

    def run(self, inputs: torch.Tensor) -> EngineOutputs:
        self.runs += 1
        if self.runs > self.fails_after:
            raise RuntimeError('the library\nhas a bad day')
        features, root = self.plain.run(inputs)
        root = root.clone()
        rows = round(self.share * root.shape[2])
        root[:, :, :rows] = root[:, :, :rows].flip(1)
        return EngineOutputs(features, root)


@pytest.mark.parametrize(
    ('precision', 'share', 'right'),
    [
        ('float32', 0.0, True),
        ('float32', 0.02, False),
        ('bfloat16', 0.3, False),
        ('float16', 0.3, False),
    ],
)
def test_an_engine_with_wrong_labels_does_not_prove_itself(
    street: Segmenter, precision: str, share: float, right: bool
) -> None:
    engine = ChangedEngine(street.engine, share)
    engine.precision = precision
    problem = Proof(street._labels, street.engine, 2).problem(engine)
    assert (problem == '') is right
    assert right or 'of the pixels of a test image' in problem


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('fault', ['wrong', 'raises', 'not finite'])
@pytest.mark.parametrize('engine', ['auto', 'onnxruntime'])
def test_where_no_engine_is_right_the_plain_form_runs(
    untrained_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: str,
    fault: str,
    engine: str,
) -> None:
    tried = []

    def substitute(name: str, precision: str, threads: int, network, root: str, device) -> Engine:
        plain = choice.TorchEngine(network, root, device, 'float32')
        changed = ChangedEngine(plain, 1.0, 0 if fault == 'raises' else 1 << 30)
        changed.name, changed.precision = name, precision
        if fault == 'not finite':
            monkeypatch.setattr(
                changed,
                'run',
                lambda inputs: plain.run(inputs)._replace(root=plain.run(inputs).root * np.nan),
            )
        tried.append(name)
        return changed

    monkeypatch.setattr(choice, '_engine', substitute)
    segmenter = Segmenter.load(untrained_model, 'cpu', engine=engine, precision=precision)
    assert tried[0] == ('openvino' if engine == 'auto' else engine)
    assert segmenter.engine is segmenter._plain
    assert segmenter.engine_problem.startswith(f'engine {tried[0]} in {precision}: ')
    assert segmenter.engine_problem.endswith('; torch in float32 runs instead')
    assert '\n' not in segmenter.engine_problem
    assert [record.getMessage() for record in caplog.records] == [segmenter.engine_problem]
    assert segmenter.segment([photographs(1)[0]])[0].finite


def test_another_precision_of_the_same_engine_is_no_problem(
    untrained_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def substitute(name: str, precision: str, threads: int, network, root: str, device) -> Engine:
        plain = choice.TorchEngine(network, root, device, 'float32')
        changed = ChangedEngine(plain, 0.5 if precision == 'bfloat16' else 0.0)
        changed.name, changed.precision = name, precision
        return changed

    monkeypatch.setattr(choice, '_engine', substitute)
    monkeypatch.setattr(choice, '_has_native_bfloat16', lambda: True)
    caplog.set_level('INFO', 'hier_seg_ros')
    segmenter = Segmenter.load(untrained_model, 'cpu', engine='openvino')
    assert (segmenter.engine.name, segmenter.engine.precision) == ('openvino', 'float32')
    assert segmenter.engine_problem == ''
    (record,) = caplog.records
    assert record.levelname == 'INFO' and record.getMessage().endswith(
        '; openvino in float32 runs instead'
    )
    # Who asks for that precision is told.
    segmenter = Segmenter.load(untrained_model, 'cpu', engine='openvino', precision='bfloat16')
    assert segmenter.engine is segmenter._plain
    assert segmenter.engine_problem.startswith('engine openvino in bfloat16: labels ')


def test_an_engine_that_fails_in_the_middle_is_replaced(
    untrained_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu', engine='torch')
    (image,) = photographs(1)
    (expected,) = segmenter.segment([image])
    engine = ChangedEngine(segmenter.engine, fails_after=1)
    segmenter.engine = engine
    for _ in range(3):
        (result,) = segmenter.segment([image])
        assert np.array_equal(result.finest, expected.finest)
    assert engine.runs == 2
    line = (
        'engine changed in float32: fails (RuntimeError: the library has a bad day); torch in '
        'float32 runs instead'
    )
    assert [record.getMessage() for record in caplog.records] == [line]
    assert segmenter.engine_problem == line


def test_lack_of_memory_is_no_fault_of_the_engine(untrained_model: Path) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu', engine='torch')

    class Full(ChangedEngine):
        def run(self, inputs: torch.Tensor) -> EngineOutputs:
            raise MemoryError

    segmenter.engine = full = Full(segmenter.engine)
    with pytest.raises(MemoryError):
        segmenter.segment([photographs(1)[0]])
    assert segmenter.engine is full


def test_openvino_tells_nobody_that_it_runs(untrained_model: Path) -> None:
    importable('openvino')
    code = (
        'import sys\n'
        'from hier_seg_ros.segmenter import Segmenter\n'
        f"segmenter = Segmenter.load({str(untrained_model)!r}, 'cpu', engine='openvino')\n"
        "print(*(name for name in sys.modules if name.startswith('openvino_telemetry')))\n"
        'from openvino.tools.ovc import telemetry_utils\n'
        'print(telemetry_utils.tm.__name__)'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.stdout.split() == ['openvino.tools.ovc.telemetry_stub'], result.stderr


@pytest.mark.parametrize('engine', LIBRARIES)
def test_an_engine_that_is_not_installed_is_named(
    untrained_model: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    monkeypatch.delitem(
        sys.modules, f'hier_seg_ros.segmenter.engines.{engine}_engine', raising=False
    )
    with pytest.raises(HierSegError) as caught:
        Segmenter.load(untrained_model, 'cpu', engine=engine)
    message = str(caught.value)
    assert message.startswith(f'engine {engine}: is not installed (')
    assert message.endswith(f"; pip install 'hier_seg_ros[{engine}]'") and '\n' not in message


def test_where_only_torch_is_there_the_log_says_once_what_to_install(
    untrained_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for engine in LIBRARIES:
        monkeypatch.setitem(sys.modules, engine, None)
        module = f'hier_seg_ros.segmenter.engines.{engine}_engine'
        monkeypatch.delitem(sys.modules, module, raising=False)
    segmenter = Segmenter.load(untrained_model, 'cpu')
    segmenter.segment([photographs(1)[0]])
    (line,) = (record.getMessage() for record in caplog.records)
    assert "pip install 'hier_seg_ros[openvino]'" in line
    assert segmenter.engine is segmenter._plain and segmenter.engine_problem == ''
    # Who has chosen torch knows what he does.
    caplog.clear()
    Segmenter.load(untrained_model, 'cpu', engine='torch')
    assert caplog.records == []


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'engine': 'openvno'}, "did you mean 'openvino'?"),
        ({'engine': 'tensorrt'}, 'choose among auto, torch'),
        ({'precision': 'float8'}, 'precision'),
        ({'precision': 'int8'}, 'choose among auto, float32'),
        ({'threads': -1}, 'threads -1'),
        ({'threads': 1 << 20}, 'threads 1048576'),
        ({'engine': 'torch', 'precision': 'float16'}, 'needs a GPU'),
        ({'engine': 'onnxruntime', 'precision': 'bfloat16'}, 'float32 only on the CPU'),
    ],
)
def test_what_cannot_be_is_named_in_one_line(
    untrained_model: Path, arguments: dict[str, object], words: str
) -> None:
    if 'onnxruntime' in arguments.values():
        importable('onnxruntime')
    with pytest.raises(HierSegError) as caught:
        Segmenter.load(untrained_model, 'cpu', **arguments)
    assert words in str(caught.value) and '\n' not in str(caught.value)


def test_a_precision_that_nothing_here_has_is_replaced_where_the_engine_is_free(
    untrained_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, 'openvino', None)
    module = 'hier_seg_ros.segmenter.engines.openvino_engine'
    monkeypatch.delitem(sys.modules, module, raising=False)
    segmenter = Segmenter.load(untrained_model, 'cpu', precision='float16')
    assert segmenter.engine is segmenter._plain
    assert segmenter.engine_problem == (
        'precision float16: torch needs a GPU for it; choose float32, or device cuda; torch in '
        'float32 runs instead'
    )
    assert segmenter.engine_problem in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize('engine', ['torch', 'openvino'])
def test_threads_are_a_limit_for_this_segmenter_only(
    untrained_model: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    if engine == 'openvino':
        importable(engine)
    before = torch.get_num_threads()
    # Not more than there are processors, which OpenVINO would lower.
    threads = 1 if before > 1 else 2
    segmenter = Segmenter.load(untrained_model, 'cpu', engine=engine, threads=threads)
    seen = []
    prepare = segmenter._prepare
    monkeypatch.setattr(
        segmenter,
        '_prepare',
        lambda *arguments: (seen.append(torch.get_num_threads()), prepare(*arguments))[1],
    )
    segmenter.segment([photographs(1)[0]])
    segmenter.logits(photographs(1)[0])
    assert seen == [threads] * 2
    assert torch.get_num_threads() == before
    if engine == 'openvino':
        (compiled,) = segmenter.engine._compiled.values()
        assert compiled._compiled.get_property('INFERENCE_NUM_THREADS') == threads


def test_torch_in_bfloat16_is_an_engine_too(street: Segmenter) -> None:
    engine = choice.TorchEngine(street._network, 'root', street.device, 'bfloat16')
    inputs, _ = street._prepare([photographs(1)[0][:64, :96]], 1.0)
    with torch.inference_mode():
        outputs, expected = engine.run(inputs), street.engine.run(inputs)
    assert outputs.root.dtype == outputs.features.shared.dtype == torch.float32
    error = (outputs.root - expected.root).abs().mean() / expected.root.abs().mean()
    assert 0.0 < error < 0.25


def test_the_photograph_shows_what_the_proof_needs(street: Segmenter) -> None:
    (labels,) = street._labels(street.engine, photographs(1))
    assert labels.shape == (480, 640)
    # Several classes, and children of children.
    assert len(np.unique(labels)) >= 8
    signs = street.hierarchy.traffic_sign_of_id[labels]
    assert (signs != 255).sum() > 200
