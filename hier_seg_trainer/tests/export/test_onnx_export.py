# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import PHOTOGRAPH, small_model
from torch.torch_version import TorchVersion

from hier_seg_ros import Segmenter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer.cli import main
from hier_seg_trainer.export.onnx_export import OLDEST_TORCH, check_onnx_classes, export_onnx

onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
needs_exporter = pytest.mark.skipif(
    torch.__version__ < OLDEST_TORCH, reason=f'the ONNX export needs torch {OLDEST_TORCH}'
)

NETWORKS = {
    'fused': NetworkOptions(
        backbone='mobilenetv3_small_050',
        backbone_options={},
        fused_strides=(8, 16, 32),
        shared_channels=16,
        branch_channels=8,
        image_pooling=True,
        learned_upsampling=True,
    ),
    'fused, with details': NetworkOptions(
        backbone='mobilenetv3_small_050',
        backbone_options={},
        fused_strides=(4, 8, 16, 32),
        shared_channels=16,
        branch_channels=8,
        image_pooling=True,
        learned_upsampling=True,
        detail_channels=8,
    ),
    'dilated, group normalisation': NetworkOptions(
        backbone='resnet10t',
        backbone_options={'output_stride': 8},
        fused_strides=(8,),
        shared_channels=16,
        branch_channels=8,
        image_pooling=False,
        learned_upsampling=False,
        normalization='group',
    ),
}


@pytest.fixture(scope='module')
def photograph() -> Image.Image:
    return Image.open(PHOTOGRAPH).convert('RGB')


def compare(file: Path, segmenter: Segmenter, images: np.ndarray) -> float:
    """Return the least share of equal pixels over all maps and images (N, H, W, 3)."""
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    assert names == ['level_1', 'level_2', 'level_3', 'traffic_signs', 'categories']
    maps = dict(zip(names, session.run(None, {'images': images}), strict=True))
    shares = []
    for place, image in enumerate(images):
        (result,) = segmenter.segment([image], confidence=False)
        for name, values in maps.items():
            level = name.removeprefix('level_')
            wanted = result.level(int(level)) if level.isdecimal() else getattr(result, name)
            assert values.dtype == np.uint8
            assert values[place].shape == wanted.shape
            shares.append(float((values[place] == wanted).mean()))
    return min(shares)


@pytest.fixture(scope='module', params=NETWORKS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, DecisionOptions]:
    """Export a model with "unlabelled" replaced and its most frequent class forbidden."""
    folder = tmp_path_factory.mktemp('onnx')
    hierarchy = Hierarchy.load(find_model('street_lite0') / 'hierarchy.yaml')
    model = small_model(folder / 'model', NETWORKS[request.param], hierarchy)
    file = folder / 'model.onnx'
    picture = np.asarray(Image.open(PHOTOGRAPH).convert('RGB').resize((320, 200)))
    (result,) = Segmenter.load(model, 'cpu', engine='torch', precision='float32').segment(
        [picture], confidence=False
    )
    most_frequent = int(np.bincount(result.level(1).ravel(), minlength=256)[:255].argmax())
    options = DecisionOptions(
        void_decisions='replace', forbidden_classes=(hierarchy.node_by_id(most_frequent).name,)
    )
    export_onnx(model, file, options)
    return model, file, options


@needs_exporter
@pytest.mark.parametrize('size', [(160, 96), (97, 31), (333, 250), (321, 641)])
def test_any_size_gives_what_the_segmenter_gives(
    exported: tuple[Path, Path, DecisionOptions], photograph: Image.Image, size: tuple[int, int]
) -> None:
    model, file, options = exported
    segmenter = Segmenter.load(model, 'cpu', options, engine='torch', precision='float32')
    images = np.stack(
        [
            np.asarray(photograph.resize(size)),
            np.asarray(photograph.rotate(90, expand=True).resize(size)),
        ]
    )
    results = segmenter.segment(list(images), confidence=False)
    # Without several classes below the root there would be nothing to compare.
    assert all(len(np.unique(result.finest)) > 3 for result in results)
    assert compare(file, segmenter, images) >= 0.999


@needs_exporter
def test_the_options_are_part_of_the_graph(
    exported: tuple[Path, Path, DecisionOptions], photograph: Image.Image
) -> None:
    model, file, _ = exported
    image = np.asarray(photograph.resize((320, 200)))
    plain = Segmenter.load(model, 'cpu', engine='torch', precision='float32')
    assert compare(file, plain, image[None]) < 0.999


@needs_exporter
def test_the_tree_is_in_the_metadata(exported: tuple[Path, Path, DecisionOptions]) -> None:
    model, file, _ = exported
    session = onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata['name'] == 'small'
    assert json.loads(metadata['hierarchy']) == Hierarchy.load(model / 'hierarchy.yaml').as_dict()


@needs_exporter
def test_the_classes_are_in_the_metadata_and_of_one_tree_only(
    exported: tuple[Path, Path, DecisionOptions], tmp_path: Path
) -> None:
    model, file, _ = exported
    hierarchy = Hierarchy.load(model / 'hierarchy.yaml')
    check_onnx_classes(file, hierarchy)
    content = hierarchy.as_dict()
    # Two classes of the root change places.
    roots = [node for node in content['nodes'] if node['parent'] is None]
    places = [content['nodes'].index(node) for node in roots[:2]]
    content['nodes'][places[0]], content['nodes'][places[1]] = roots[1], roots[0]
    with pytest.raises(HierSegError, match=r'onnx: .*root') as raised:
        check_onnx_classes(file, Hierarchy(content))
    assert '\n' not in str(raised.value)
    # A file that does not say what its logits stand for.
    import onnx

    unnamed = onnx.load(file)
    del unnamed.metadata_props[:]
    onnx.save(unnamed, tmp_path / 'unnamed.onnx')
    with pytest.raises(HierSegError, match=r'unnamed\.onnx: '):
        check_onnx_classes(tmp_path / 'unnamed.onnx', hierarchy)


@needs_exporter
def test_the_bundled_model_on_a_photograph(
    tmp_path: Path, photograph: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'street_lite0.onnx'
    assert main(['export', 'street_lite0', '--onnx', str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    segmenter = Segmenter.load(
        find_model('street_lite0'), 'cpu', engine='torch', precision='float32'
    )
    assert compare(file, segmenter, np.asarray(photograph)[None]) >= 0.999


@needs_exporter
def test_min_confidence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match='min_confidence'):
        export_onnx(
            find_model('street_lite0'), tmp_path / 'a.onnx', DecisionOptions(min_confidence=0.5)
        )


def test_a_torch_that_is_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, '__version__', TorchVersion('2.6.1+cpu'))
    with pytest.raises(HierSegError, match=r"torch 2\.6\.1.*pip install 'torch>=2\.7'"):
        export_onnx(find_model('street_lite0'), tmp_path / 'a.onnx')
    assert not list(tmp_path.iterdir())


@needs_exporter
def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_model(
        tmp_path / 'model',
        NETWORKS['fused'],
        Hierarchy.load(find_model('street_lite0') / 'hierarchy.yaml'),
    )
    assert main(['export', str(model), '--onnx', str(tmp_path / 'missing' / 'a.onnx')]) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'cannot be written' in error


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['export', 'street_lite0'], '--onnx is needed'),
        (['export', 'street_lite0', '--onnx', 'a', '--out', 'b'], '--out has no use'),
        (['export', 'experiment.yaml', '--data', 'a', '--run', 'b'], '--out is needed'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
