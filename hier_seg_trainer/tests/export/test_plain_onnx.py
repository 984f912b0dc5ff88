# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plain ONNX files: what is in them, and that they decide what PyTorch decides."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_models import PHOTOGRAPH, small_model

from hier_seg_ros import Segmenter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.interpolation import upsample
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.cli import main
from hier_seg_trainer.export.onnx_export import OLDEST_TORCH, check_onnx_classes
from hier_seg_trainer.export.plain_onnx import export_plain_onnx, parse_size

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
needs_exporter = pytest.mark.skipif(
    torch.__version__ < OLDEST_TORCH, reason=f'the ONNX export needs torch {OLDEST_TORCH}'
)

PAGE = Path(__file__).resolve().parents[3] / 'docs' / 'tensorrt.md'

Decide = Callable[[Sequence[Mapping[str, Any]], Sequence[NDArray[np.int32]]], NDArray[np.uint8]]


def tree_of(name: str, parents: Mapping[str, str | None]) -> Hierarchy:
    """Return a tree whose ids do not follow the order of its nodes."""
    nodes = [
        {'id': 200 - 3 * index, 'name': node, 'color': [index, 90, 9], 'parent': parent}
        for index, (node, parent) in enumerate(parents.items())
    ]
    return Hierarchy({'format': 1, 'name': name, 'nodes': nodes})


FLAT = tree_of('flat', {f'class {letter}': None for letter in 'abcde'})
# The names are such as a list or a path would be cut at.
DEEP = tree_of(
    'deep',
    {'sky': None, 'a, b': None, 'ground': None}
    | {f'a.b/{n}': 'a, b' for n in range(3)}
    | {f'c;d:{n}': 'a.b/1' for n in range(3)}
    | {f'e {n}': 'c;d:0' for n in range(2)}
    | {f'g{n}': 'ground' for n in range(2)},
)


def options_of(backbone: str, **changes: Any) -> NetworkOptions:
    """Return the options of a small network, the light one's but for `changes`."""
    light: dict[str, Any] = {
        'backbone': backbone,
        'backbone_options': {},
        'fused_strides': (4, 8, 16, 32),
        'shared_channels': 16,
        'branch_channels': 8,
        'image_pooling': True,
        'learned_upsampling': True,
    }
    return NetworkOptions(**light | changes)


@dataclass(frozen=True)
class Case:
    """A network with a tree, the height and width of its images, and how many run at once."""

    network: NetworkOptions
    tree: Hierarchy | None
    size: tuple[int, int]
    batch: int = 1


# None: the default tree.
CASES = {
    'details': Case(options_of('mobilenetv3_small_050', detail_channels=8), None, (97, 131)),
    'a batch, whole strides': Case(options_of('mobilenetv3_small_050'), DEEP, (96, 160), 3),
    'no learned upsampling': Case(
        options_of('test_resnet', learned_upsampling=False, image_pooling=False), DEEP, (64, 333)
    ),
    'group': Case(options_of('test_resnet', normalization='group'), FLAT, (121, 90)),
    'instance': Case(options_of('test_efficientnet', normalization='instance'), None, (250, 160)),
    'evo': Case(options_of('test_efficientnet', normalization='evo'), DEEP, (127, 129)),
    'DeepLabV3': Case(
        options_of(
            'resnet10t',
            backbone_options={'output_stride': 8},
            fused_strides=(8,),
            architecture='deeplabv3',
            branch_channels=0,
            learned_upsampling=False,
        ),
        None,
        (100, 150),
    ),
    'dilated': Case(
        options_of('resnet10t', backbone_options={'output_stride': 8}, fused_strides=(8,)),
        FLAT,
        (33, 140),
    ),
    'layer normalisation': Case(options_of('test_convnext'), None, (126, 162)),
    'padding as in TensorFlow': Case(
        options_of('tf_mobilenetv3_small_minimal_100'), DEEP, (95, 125)
    ),
}


@dataclass(frozen=True)
class Exported:
    """A plain file, its model folder, and the images (N, H, W, 3) that it is tried on."""

    model: Path
    file: Path
    images: NDArray[np.uint8]


def photographs(size: tuple[int, int], count: int) -> NDArray[np.uint8]:
    """Return parts (count, H, W, 3) of a photograph, no two of them alike."""
    height, width = size
    picture = Image.open(PHOTOGRAPH).convert('RGB')
    return np.stack(
        [
            np.asarray(picture.rotate(90 * n, expand=True).resize((width, height)))
            for n in range(count)
        ]
    )


@pytest.fixture(scope='module', params=CASES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp('plain')
    tree = case.tree or Hierarchy.load(find_model('street_lite0') / 'hierarchy.yaml')
    model = small_model(folder / 'model', case.network, tree)
    export_plain_onnx(model, folder / 'plain.onnx', case.size, case.batch)
    return Exported(model, folder / 'plain.onnx', photographs(case.size, case.batch))


@pytest.fixture(scope='session')
def decide(tmp_path_factory: pytest.TempPathFactory) -> Decide:
    """Return the function that the page shows."""
    (code,) = re.findall(r'```python\n(import numpy as np\n.*?)```', PAGE.read_text(), re.DOTALL)
    file = tmp_path_factory.mktemp('page') / 'decide.py'
    file.write_text(code)
    return runpy.run_path(str(file))['decide']


def metadata_in(file: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(file).metadata_props}


def run(file: Path, images: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """Return the label maps of images (N, H, W, 3), given to the file as its metadata says."""
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    described = json.loads(session.get_modelmeta().custom_metadata_map['input'])
    inputs = images.transpose(0, 3, 1, 2).astype(np.float32)
    assert described['shape'] == list(inputs.shape)
    return session.run(None, {described['name']: inputs})


def unscaled(model: Path) -> Segmenter:
    """Return a segmenter that scales none of the images here down."""
    return Segmenter.load(model, 'cpu', input_long_side=1024, engine='torch', precision='float32')


@needs_exporter
def test_each_classifier_decides_as_in_torch(exported: Exported) -> None:
    segmenter = unscaled(exported.model)
    outputs = json.loads(metadata_in(exported.file)['outputs'])
    maps = run(exported.file, exported.images)
    choices = segmenter.decision_rule.choices
    assert [output['classifier'] for output in outputs] == [choice.name for choice in choices]
    for place, image in enumerate(exported.images):
        logits = segmenter.logits(image)
        for choice, winners in zip(choices, maps, strict=True):
            dense = upsample(choice.select(logits[choice.name])[None], logits.grid)
            wanted = dense[0].argmax(0).numpy()
            assert winners.dtype == np.int32
            assert (winners[place] == wanted).mean() >= 0.999
    # Otherwise there would be nothing to compare.
    assert all(len(np.unique(winners)) > 1 for winners in maps)


@needs_exporter
def test_the_function_of_the_page_decides_as_the_segmenter(
    exported: Exported, decide: Decide
) -> None:
    segmenter = unscaled(exported.model)
    metadata = metadata_in(exported.file)
    labels = decide(json.loads(metadata['outputs']), run(exported.file, exported.images))
    tree = Hierarchy(json.loads(metadata['hierarchy']))
    for place, image in enumerate(exported.images):
        (result,) = segmenter.segment([image], confidence=False)
        assert labels[place].dtype == result.finest.dtype
        assert (labels[place] == result.finest).mean() >= 0.999
        assert (tree.level_of_id[0][labels[place]] == result.level(1)).mean() >= 0.999
    # Otherwise there would be nothing to compare.
    assert len(np.unique(labels)) > 2


@needs_exporter
def test_the_metadata_names_classes_and_nodes(exported: Exported) -> None:
    metadata = metadata_in(exported.file)
    tree = Hierarchy.load(exported.model / 'hierarchy.yaml')
    supervised = json.loads(metadata['supervised'])
    reached = {255}
    named: list[str] = []
    for output in json.loads(metadata['outputs']):
        *classes, last = output['classes']
        assert output['parent'] in reached, 'a child comes before its parent'
        assert output['ids'] == [*(tree.node(name).id for name in classes), output['parent']]
        assert last == 'unlabelled'
        reached.update(output['ids'])
        named += classes
    assert sorted(named) == sorted(supervised)
    check_onnx_classes(exported.file, tree)


@needs_exporter
def test_the_graph_is_within_what_tensorrt_takes(exported: Exported) -> None:
    from hier_seg_trainer.export.tensorrt_graph import check_operators, check_tensors

    model = onnx.load(exported.file)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [('', 17)]
    assert not model.functions
    check_operators(model)
    check_tensors(model)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    produced = {name for node in inferred.node for name in node.output}
    assert produced <= {value.name for value in values}
    for value in values:
        dimensions = value.type.tensor_type.shape.dim
        assert all(dimension.dim_value > 0 for dimension in dimensions), value.name
    types = {value.type.tensor_type.elem_type for value in values}
    types |= {tensor.data_type for tensor in inferred.initializer}
    named = {onnx.TensorProto.DataType.Name(kind) for kind in types}
    assert named <= {'FLOAT', 'INT32', 'INT64'}
    (images,) = inferred.input
    count, height, width, _ = exported.images.shape
    assert [d.dim_value for d in images.type.tensor_type.shape.dim] == [count, 3, height, width]
    for output in inferred.output:
        assert output.type.tensor_type.elem_type == onnx.TensorProto.INT32
        shape = [dimension.dim_value for dimension in output.type.tensor_type.shape.dim]
        assert shape == [count, height, width]


@needs_exporter
def test_the_bundled_model_on_a_photograph(
    tmp_path: Path, decide: Decide, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'street.onnx'
    arguments = ['export', 'street_lite0', '--onnx', str(file), '--plain', '--size', '500x703']
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert f'{file}, for images of height 500 and width 703' in said
    assert 'would scale' not in said
    images = photographs((500, 703), 1)
    labels = decide(json.loads(metadata_in(file)['outputs']), run(file, images))
    segmenter = Segmenter.load(
        find_model('street_lite0'), 'cpu', engine='torch', precision='float32'
    )
    (result,) = segmenter.segment(list(images), confidence=False)
    assert (labels[0] == result.finest).mean() >= 0.999
    assert len(np.unique(labels)) > 5


@needs_exporter
def test_a_size_that_the_model_would_scale_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_model(tmp_path / 'model', options_of('test_resnet'), FLAT)
    file = str(tmp_path / 'a.onnx')
    arguments = [
        'export',
        str(model),
        '--onnx',
        file,
        '--plain',
        '--size',
        '64x400',
        '--batch',
        '2',
    ]
    assert main(arguments) == 0
    assert 'would scale such images to height 26 and width 160' in capsys.readouterr().out
    (images,) = onnx.load(file).graph.input
    assert [d.dim_value for d in images.type.tensor_type.shape.dim] == [2, 3, 64, 400]


@needs_exporter
def test_a_network_with_another_operator_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_of('test_resnet', backbone_options={'act_layer': 'mish'})
    model = small_model(tmp_path / 'model', options, FLAT)
    file = tmp_path / 'a.onnx'
    assert main(['export', str(model), '--onnx', str(file), '--plain', '--size', '64x96']) == 1
    error = capsys.readouterr().err
    assert 'the operator Mish, which TensorRT does not take; ' in error
    assert error.count('\n') == 1
    assert not file.exists()


@needs_exporter
def test_what_pytorch_cannot_export_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError('steps\nto take') from ValueError('why\nnot')

    model = small_model(tmp_path / 'model', options_of('test_resnet'), FLAT)
    monkeypatch.setattr(torch.onnx, 'export', fail)
    with pytest.raises(HierSegError, match=r'backbone test_resnet .*\(why not\); ') as raised:
        export_plain_onnx(model, tmp_path / 'a.onnx', (64, 96))
    assert '\n' not in str(raised.value)
    assert not (tmp_path / 'a.onnx').exists()


@pytest.mark.parametrize(
    ('text', 'size'), [('512x704', (512, 704)), ('33x1025', (33, 1025)), ('0512x32', (512, 32))]
)
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


WRONG_SIZES = (
    '', '512', '512x', 'x704', '512x704x3', '512X704', '512*704', '-512x704', '5.5x704', '0x704',
    '31x704', '512x16385', '999999x999999', '1e3x704', ' 512x704', '512x704\n', '٥١٢x٧٠٤',
)  # fmt: skip


@pytest.mark.parametrize('text', WRONG_SIZES)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(HierSegError, match=r'--size .*: .*; '):
        parse_size(text)


EXPORT = ['export', 'street_lite0']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([*EXPORT, '--onnx', 'a', '--plain'], '--plain: --size is needed'),
        ([*EXPORT, '--plain', '--size', '512x704'], '--onnx is needed'),
        ([*EXPORT, '--onnx', 'a', '--size', '512x704'], '--size: has no use without --plain'),
        ([*EXPORT, '--onnx', 'a', '--batch', '2'], '--batch: has no use without --plain'),
        ([*EXPORT, '--onnx', 'a', '--plain', '--size', '512'], "--size '512': is no height"),
        (
            [*EXPORT, '--onnx', 'a', '--plain', '--size', '512x704', '--batch', '0'],
            '--batch 0: is no number of images',
        ),
        (
            ['export', 'e.yaml', '--data', 'a', '--run', 'b', '--out', 'c', '--plain'],
            '--plain: --onnx is needed',
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert not list(tmp_path.iterdir())
