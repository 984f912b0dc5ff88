# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel embeddings: which pixels, their features, the files that TensorBoard reads."""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.nn import functional

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    read_model_folder,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import NetworkOptions, build_network
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.commands import embed as command
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.inspection.embedding.embedding_model import EmbeddingModel
from hier_seg_trainer.inspection.embedding.embeddings import (
    COLUMNS,
    THUMBNAIL_EDGE,
    is_right,
    thumbnail,
)
from hier_seg_trainer.inspection.embedding.pixel_choice import (
    choose_pixels,
    labelled_pixels,
    spread,
)
from hier_seg_trainer.inspection.embedding.projector_log import MAX_POINTS

# Small ones of every shape: the light one's, the paper's, DeepLabV3's.
NETWORKS = {
    'light': NetworkOptions('test_efficientnet', {}, (8, 16), 8, 4, True, True),
    'paper': NetworkOptions('test_efficientnet', {}, (8,), 8, 4, False, True),
    'deeplabv3': NetworkOptions(
        'test_efficientnet', {}, (8,), 8, 0, True, False, architecture='deeplabv3'
    ),
}
MEAN, DEVIATION = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(scope='module')
def model_folders(tmp_path_factory: pytest.TempPathFactory, tree: Hierarchy) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('models')
    return {name: write_model(root / name, tree, NETWORKS[name]) for name in NETWORKS}


@pytest.fixture(scope='module')
def model_folder(model_folders: dict[str, Path]) -> Path:
    return model_folders['light']


def write_model(folder: Path, tree: Hierarchy, options: NetworkOptions) -> Path:
    torch.manual_seed(0)
    network = build_network(options, tree).train()
    with torch.no_grad():
        for _ in range(20):  # running statistics, so that features do not fade to nothing
            network.features(torch.randn(2, 3, 64, 64))
    names = tuple(node.name for node in tree.nodes)
    description = ModelDescription('tiny', options, InputOptions(128, MEAN, DEVIATION), names)
    write_model_folder(folder, description, tree, network, '# tiny\n')
    return folder


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)


# Features


def bilinear(maps: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return (C,) between the positions of (C, h, w); those at the sides go on outside."""
    x, y = np.clip(x, 0, maps.shape[2] - 1), np.clip(y, 0, maps.shape[1] - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, maps.shape[2] - 1), min(top + 1, maps.shape[1] - 1)
    upper = (1 - x + left) * maps[:, top, left] + (x - left) * maps[:, top, right]
    lower = (1 - x + left) * maps[:, bottom, left] + (x - left) * maps[:, bottom, right]
    return (1 - y + top) * upper + (y - top) * lower


@pytest.mark.parametrize('network_name', NETWORKS)
@pytest.mark.parametrize(
    ('size', 'scaled', 'padded'),
    [
        ((64, 96), (64, 96), (64, 96)),
        ((50, 90), (50, 90), (64, 96)),
        # Longer than the 128 pixels of the model: 120 * 128 / 250 = 61.4.
        ((120, 250), (61, 128), (64, 128)),
    ],
)
def test_features_are_those_of_the_network_at_the_pixel(
    model_folders: dict[str, Path],
    network_name: str,
    size: tuple[int, int],
    scaled: tuple[int, int],
    padded: tuple[int, int],
) -> None:
    model_folder = model_folders[network_name]
    height, width = size
    image = noise(height, width)
    x, y = np.array([0, 50, width - 1, 11, 12]), np.array([0, 20, height - 1, 11, 12])
    features, decided = EmbeddingModel(model_folder, 'cpu').embed(image, x, y)
    _, _, network = read_model_folder(model_folder)
    inputs = torch.from_numpy(image).float().permute(2, 0, 1)[None]
    if scaled != size:
        inputs = functional.interpolate(inputs, scaled, mode='bilinear', antialias=True)
    inputs = functional.pad(
        inputs, (0, padded[1] - scaled[1], 0, padded[0] - scaled[0]), mode='replicate'
    )
    mean, deviation = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    with torch.inference_mode():
        maps = network.features((inputs / 255 - mean) / deviation).shared[0].numpy()
    assert maps.shape == (8, padded[0] // 8, padded[1] // 8)
    # A position of the features lies in the middle of its 8x8 pixels of the input.
    columns = (x + 0.5) * scaled[1] / width / 8 - 0.5
    rows = (y + 0.5) * scaled[0] / height / 8 - 0.5
    expected = np.stack([bilinear(maps, *place) for place in zip(columns, rows, strict=True)])
    assert features.numpy() == pytest.approx(expected, abs=1e-3)
    assert expected.std(0).max() > 0.03, 'the pixels differ by more than the tolerance'
    (result,) = Segmenter.load(model_folder, 'cpu', engine='torch', precision='float32').segment(
        [image]
    )
    assert decided.tolist() == result.finest[y, x].tolist()


# Which pixels


@pytest.mark.parametrize(
    ('total', 'available', 'expected'),
    [
        (9, [100, 100, 100], [3, 3, 3]),
        (9, [1, 100, 100], [1, 4, 4]),
        (9, [0, 2, 100], [0, 2, 7]),
        (9, [1, 2, 3], [1, 2, 3]),
        (0, [5, 5], [0, 0]),
        (5, [], []),
    ],
)
def test_points_are_spread_evenly(total: int, available: list[int], expected: list[int]) -> None:
    taken = spread(total, np.array(available, np.int64), np.random.default_rng(0))
    assert taken.tolist() == expected


def test_what_cannot_be_divided_goes_to_random_ones() -> None:
    seen = Counter()
    for seed in range(200):
        taken = spread(2, np.array([50, 9, 9, 0]), np.random.default_rng(seed))
        assert taken.sum() == 2
        assert taken.max() == 1
        seen.update(np.flatnonzero(taken).tolist())
    assert set(seen) == {0, 1, 2}
    assert min(seen.values()) > 100


def test_pixels_are_balanced_and_carry_their_label(small_data: Path, tree: Hierarchy) -> None:
    dataset = open_dataset('camvid', small_data / 'camvid', 'train', tree)
    samples = choose_pixels([dataset], 80, 1)
    chosen = Counter()
    for sample in samples:
        labels = dataset[sample.index].labels
        assert labels is not None
        assert labels[sample.y, sample.x].tolist() == sample.node_ids.tolist()
        assert len(set(zip(sample.x.tolist(), sample.y.tolist(), strict=True))) == len(sample.x)
        chosen.update(sample.node_ids.tolist())
    names = {tree.node_by_id(node_id).readable_name: n for node_id, n in chosen.items()}
    assert names == {'Sky': 20, 'Building': 20, 'Driveable': 20, 'Car': 20}
    # Every image shows every class: each gives its share.
    assert [len(sample.x) for sample in samples] == [20, 20, 20, 20]
    again = choose_pixels([dataset], 80, 1)
    assert all((a.x == b.x).all() for a, b in zip(samples, again, strict=True))
    other = choose_pixels([dataset], 80, 2)
    assert not all((a.x == b.x).all() for a, b in zip(samples, other, strict=True))


def test_of_boxes_the_outlines_count(small_data: Path, tree: Hierarchy) -> None:
    dataset = open_dataset('gtsdb', small_data / 'gtsdb', 'train', tree)
    labels = labelled_pixels(dataset[0])
    disc = labels == tree.node('speed limit 30').id
    assert 0.7 < disc.sum() / 400 < 0.85  # of 20x20 pixels; a disc fills 0.79
    assert disc[29, 19]
    assert not disc[20, 10]
    assert (labels[1] == 255).all()


def test_several_data_sets_share_the_points(small_data: Path, tree: Hierarchy) -> None:
    datasets = [
        open_dataset(name, small_data / name, 'train', tree) for name in ('camvid', 'gtsdb')
    ]
    samples = choose_pixels(datasets, 60, 0)
    sizes = Counter()
    for sample in samples:
        sizes[sample.dataset] += len(sample.x)
    # Four classes, and two signs.
    assert sizes == {0: 40, 1: 20}


def test_data_without_a_label_is_refused(small_data: Path, tree: Hierarchy, tmp_path: Path) -> None:
    Image.new('RGB', (64, 32)).save(tmp_path / '00000.ppm')
    (tmp_path / 'gt.txt').touch()
    with pytest.raises(HierSegError, match='no pixel of the data has a label'):
        choose_pixels([open_dataset('gtsdb', tmp_path, 'train', tree)], 10, 0)


# What is written


def test_a_finer_decision_is_right_and_a_coarser_one_is_not(tree: Hierarchy) -> None:
    stop, front, car = (tree.node(name).id for name in ('stop', 'Traffic Sign (Front)', 'Car'))
    assert is_right(stop, stop, tree)
    assert is_right(front, stop, tree)
    assert not is_right(stop, front, tree)
    assert not is_right(stop, car, tree)
    assert not is_right(stop, 255, tree)


@pytest.mark.parametrize(('x', 'y'), [(0, 0), (199, 149), (100, 70)])
def test_a_thumbnail_shows_the_surroundings_of_its_pixel(x: int, y: int) -> None:
    # Red tells the column, green the row.
    pixels = np.zeros((150, 200, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(200), np.arange(150)[:, None]
    small = np.asarray(thumbnail(Image.fromarray(pixels), x, y)).astype(int)
    assert small.shape == (THUMBNAIL_EDGE, THUMBNAIL_EDGE, 3)
    row, column = np.argwhere((small > 240).all(2)).mean(0).round().astype(int)
    around = [
        small[row + down, column + right]
        for down in (-4, 4)
        for right in (-4, 4)
        if 0 <= row + down < THUMBNAIL_EDGE and 0 <= column + right < THUMBNAIL_EDGE
    ]
    # A pixel of the thumbnail is two of the image.
    assert np.abs(np.mean(around, 0)[:2] - (x, y)).max() < (3 if len(around) == 4 else 12)
    assert np.ptp(small[..., 0]) > 80
    tiny = thumbnail(Image.new('RGB', (20, 30)), 3, 4)
    assert tiny.size == (THUMBNAIL_EDGE, THUMBNAIL_EDGE)


def run_command(*words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(['embed', *words])
    options.run_command(options)


def test_tensorboard_finds_all_that_it_needs(
    model_folder: Path, small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'log'
    words = [str(model_folder), '--out', str(out), '--points', '40', '--device', 'cpu']
    for name in ('camvid', 'gtsdb'):
        words += ['--format', name, '--path', str(small_data / name)]
    for _ in range(2):  # what is there is replaced
        run_command(*words)
    assert [path.name for path in tmp_path.iterdir()] == ['log']
    assert '40 points of 4 images' in capsys.readouterr().out
    config = text_format.Parse((out / 'projector_config.pbtxt').read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    tensors = np.loadtxt(out / embedding.tensor_path, delimiter='\t')
    assert tensors.shape == (40, NETWORKS['light'].shared_channels)
    with (out / embedding.metadata_path).open(encoding='utf-8', newline='') as file:
        header, *rows = csv.reader(file, delimiter='\t')
    assert header == COLUMNS
    assert len(rows) == 40
    with Image.open(out / embedding.sprite.image_path) as sprite:
        # Seven rows of seven are the least that hold 40.
        assert sprite.size == (7 * THUMBNAIL_EDGE, 7 * THUMBNAIL_EDGE)
    assert list(embedding.sprite.single_image_dim) == [THUMBNAIL_EDGE, THUMBNAIL_EDGE]
    assert list(out.glob('events.out.tfevents.*'))
    # A row says what the model makes of its pixel.
    model = EmbeddingModel(model_folder, 'cpu')
    for row, vector in zip(rows[::9], tensors[::9], strict=True):
        values = dict(zip(header, row, strict=True))
        with Image.open(values['image']) as file:
            image = np.asarray(file.convert('RGB'))
        x, y = np.array([int(values['x'])]), np.array([int(values['y'])])
        features, decided = model.embed(image, x, y)
        assert features[0].numpy() == pytest.approx(vector, abs=1e-5)
        hierarchy = model.segmenter.hierarchy
        names = {node.id: node.readable_name for node in hierarchy.nodes} | {255: 'unlabelled'}
        assert values['decided'] == names[int(decided[0])]
        assert values['data set'] in ('CamVid', 'GTSDB')
        assert Path(values['image']).parent.parent.name in ('camvid', small_data.name)


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        ('--points 1', '1 points; choose 2 to'),
        (f'--points {MAX_POINTS + 1}', f'choose 2 to {MAX_POINTS}'),
        ('--format gtsdb', 'give --path as often as --format'),
        ('--format gtsdb --path D --mapping m.yaml', '--mapping goes with a single data set'),
        ('--split all', "no split 'all'"),
        ('--device cuda:99', "device 'cuda:99'"),
    ],
)
def test_wrong_usage_is_said_in_one_line(
    model_folder: Path, small_data: Path, tmp_path: Path, words: str, reason: str
) -> None:
    places = ['--format', 'camvid', '--path', str(small_data / 'camvid')]
    with pytest.raises(HierSegError, match=reason) as raised:
        run_command(str(model_folder), *places, '--out', str(tmp_path / 'log'), *words.split())
    assert '\n' not in str(raised.value)
    assert not (tmp_path / 'log').exists()


def test_another_folder_is_never_replaced(
    model_folder: Path, small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / 'mine').write_text('mine')
    words = [str(model_folder), '--format', 'camvid', '--path', str(small_data / 'camvid')]
    words += ['--points', '4', '--device', 'cpu', '--out', str(tmp_path)]
    with pytest.raises(HierSegError, match='holds no embeddings'):
        run_command(*words)
    assert [path.name for path in tmp_path.iterdir()] == ['mine']
