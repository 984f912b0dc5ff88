# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data sets that ``hier-seg synthesize`` writes: layout, consistency, classes, determinism."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer import cli
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.statistics import count_pixels
from hier_seg_trainer.synthesis.layouts import dataset_writing
from hier_seg_trainer.synthesis.layouts.dataset_writing import SynthesisOptions, synthesize
from hier_seg_trainer.synthesis.scenes.scene import draw_scene
from hier_seg_trainer.synthesis.scenes.styles import load_style
from hier_seg_trainer.synthesis.things.sign_faces import load_signs, render_sign

IMAGES, VALIDATION = 12, 2
# Signs come two to an image, and every sixth image has none: all 43 are there after 26 images.
GTSDB_IMAGES = 27
SIZE = 0.4


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all data sets."""
    root = tmp_path_factory.mktemp('synthetic')
    dense = ('cityscapes', 'vistas', 'minicity')
    synthesize(root, SynthesisOptions(dense, IMAGES, VALIDATION, size=SIZE), 'test')
    signs = SynthesisOptions(('gtsdb', 'gtsrb'), GTSDB_IMAGES, VALIDATION, size=SIZE)
    synthesize(root, signs, 'test')
    return root


def read(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as image:
        return np.array(image, np.int64)


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))


def test_layout_of_cityscapes(data: Path) -> None:
    root = data / 'cityscapes'
    images = names(root / 'leftImg8bit', '*/*/*')
    assert len(images) == IMAGES + VALIDATION
    for name in images:
        found = re.fullmatch(r'(train|val)/([a-z]+)/\2_\d{6}_\d{6}_leftImg8bit\.png', name)
        assert found
        stem = name.removesuffix('_leftImg8bit.png')
        for ending in ('color.png', 'instanceIds.png', 'labelIds.png', 'polygons.json'):
            assert (root / 'gtFine' / f'{stem}_gtFine_{ending}').is_file()
    assert len(names(root / 'gtFine', '*/*/*')) == 4 * (IMAGES + VALIDATION)


def test_layout_of_minicity(data: Path) -> None:
    root = data / 'minicity'
    images = names(root / 'leftImg8bit', '*/*')
    assert len(images) == IMAGES + VALIDATION
    for name in images:
        stem = name.removesuffix('_leftImg8bit.png')
        assert (root / 'gtFine' / f'{stem}_gtFine_labelIds.png').is_file()
        assert (root / 'gtFine' / f'{stem}_gtFine_instanceIds.png').is_file()


def test_layout_of_vistas(data: Path) -> None:
    root = data / 'vistas'
    config = json.loads((root / 'config.json').read_text(encoding='utf-8'))
    assert len(config['labels']) == 66
    assert config['labels'][50]['name'] == 'object--traffic-sign--front'
    assert [label['evaluate'] for label in config['labels']] == [True] * 65 + [False]
    for split, count in (('training', IMAGES), ('validation', VALIDATION)):
        images = names(root / split / 'images', '*')
        assert len(images) == count
        for name in images:
            assert re.fullmatch(r'[A-Za-z0-9]{22}\.jpg', name)
            with Image.open(root / split / 'images' / name) as image:
                size = image.size
            with Image.open(root / split / 'labels' / f'{name[:22]}.png') as labels:
                assert labels.mode == 'P'
                assert labels.size == size
                palette = np.reshape(labels.getpalette()[: 66 * 3], (66, 3))
            np.testing.assert_array_equal(palette, [label['color'] for label in config['labels']])


def test_layout_of_gtsdb(data: Path) -> None:
    root = data / 'gtsdb'
    expected = [f'{number:05d}.ppm' for number in [*range(GTSDB_IMAGES), 500, 501]]
    assert names(root, '*.ppm') == expected
    assert (root / '00000.ppm').read_bytes().startswith(b'P6\n544 320\n255\n')
    for line in (root / 'gt.txt').read_text(encoding='utf-8').splitlines():
        assert re.fullmatch(r'\d{5}\.ppm(;\d+){5}', line)


def test_layout_of_gtsrb(data: Path) -> None:
    root = data / 'gtsrb'
    folders = names(root / 'Final_Training' / 'Images', '*')
    assert folders == [f'{number:05d}' for number in range(43)]
    lists = [root / 'Final_Training' / 'Images' / name / f'GT-{name}.csv' for name in folders]
    for path in [*lists, root / 'Final_Test' / 'Images' / 'GT-final_test.csv']:
        header, *lines = path.read_text(encoding='utf-8').splitlines()
        assert header == 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId'
        assert len(lines) == len(names(path.parent, '*.ppm')) > 0
        for line in lines:
            name, *numbers = line.split(';')
            width, height, left, top, right, bottom, class_id = map(int, numbers)
            if path in lists:
                assert re.fullmatch(r'\d{5}_0000[012]\.ppm', name)
                assert class_id == int(path.parent.name)
            with Image.open(path.parent / name) as crop:
                assert crop.size == (width, height)
            assert 0 <= left < right < width
            assert 0 <= top < bottom < height
            # The sign's own edge, and not its border, has the benchmark's least size.
            assert max(right - left, bottom - top) + 1 >= 14


def test_crops_show_the_sign_that_their_list_names(data: Path, tree: Hierarchy) -> None:
    """A crop's region looks more like the face of its class than like that of most others."""
    crops = open_dataset('gtsrb', data / 'gtsrb', 'train', tree)
    faces, _ = load_signs(tree)
    size = (24, 24)
    pictures = {
        sign.node.id: np.asarray(render_sign(sign, *size), np.float32) for sign in faces.values()
    }

    def likeness(region: Image.Image, node_id: int) -> float:
        picture = pictures[node_id]
        inside = picture[..., 3] > 128
        shown = np.asarray(region.resize(size), np.float32)[inside].ravel()
        return float(np.corrcoef(shown, picture[..., :3][inside].ravel())[0, 1])

    ranks = []
    for crop in crops._files:
        with Image.open(crop.image) as image:
            region = image.crop(crop.region)
        if min(region.size) < 20:
            continue
        own = likeness(region, crop.node_id)
        ranks.append(sum(likeness(region, other) > own for other in pictures))
    assert len(ranks) > 30
    assert np.mean(np.array(ranks) < 5) > 0.9


def test_polygons_drawn_again_give_the_labels(data: Path) -> None:
    """As the data set's own tools do it: object after object, names to ids, below 0 nothing."""
    labels = pytest.importorskip('cityscapesscripts.helpers.labels').name2label
    for path in sorted((data / 'cityscapes' / 'gtFine').glob('*/*/*_polygons.json'))[:6]:
        content = json.loads(path.read_text(encoding='utf-8'))
        size = (content['imgWidth'], content['imgHeight'])
        drawn, numbers = Image.new('L', size), Image.new('I', size)
        count: dict[str, int] = {}
        for entry in content['objects']:
            label, corners = labels[entry['label']], [tuple(point) for point in entry['polygon']]
            value = label.id
            if label.hasInstances:
                value = label.id * 1000 + count.get(label.name, 0)
                count[label.name] = count.get(label.name, 0) + 1
            ImageDraw.Draw(drawn).polygon(corners, fill=label.id)
            ImageDraw.Draw(numbers).polygon(corners, fill=value)
        stem = str(path).removesuffix('polygons.json')
        values = read(Path(f'{stem}labelIds.png'))
        np.testing.assert_array_equal(values, np.array(drawn))
        np.testing.assert_array_equal(read(Path(f'{stem}instanceIds.png')), np.array(numbers))
        color = read(Path(f'{stem}color.png'))
        assert color.shape[-1] == 4
        for label in labels.values():
            if label.id >= 0 and (values == label.id).any():
                assert set(map(tuple, color[values == label.id])) == {(*label.color, 255)}


def test_instances_of_vistas_agree_with_its_labels(data: Path) -> None:
    root = data / 'vistas' / 'training'
    config = json.loads((root.parent / 'config.json').read_text(encoding='utf-8'))
    counted = np.array([label['instances'] for label in config['labels']])
    for path in sorted((root / 'labels').iterdir())[:6]:
        labels, instances = read(path), read(root / 'instances' / path.name)
        np.testing.assert_array_equal(instances // 256, labels)
        np.testing.assert_array_equal(instances % 256 > 0, counted[labels])
        for label in np.unique(labels[counted[labels]]):
            found = np.unique(instances[labels == label] % 256)
            np.testing.assert_array_equal(found, np.arange(1, len(found) + 1))


def test_panoptic_segments_agree_with_labels(data: Path) -> None:
    root = data / 'vistas' / 'training'
    content = json.loads((root / 'panoptic' / 'panoptic_2018.json').read_text(encoding='utf-8'))
    assert len(content['annotations']) == len(content['images']) == IMAGES
    category = {entry['id']: entry for entry in content['categories']}
    for annotation in content['annotations'][:6]:
        stored = read(root / 'panoptic' / annotation['file_name'])
        ids = stored[..., 0] + 256 * stored[..., 1] + 65536 * stored[..., 2]
        labels = read(root / 'labels' / annotation['file_name'])
        assert {entry['id'] for entry in annotation['segments_info']} == set(np.unique(ids))
        for entry in annotation['segments_info']:
            rows, columns = np.nonzero(ids == entry['id'])
            assert entry['area'] == len(rows)
            left, top, width, height = entry['bbox']
            assert (left, left + width - 1) == (columns.min(), columns.max())
            assert (top, top + height - 1) == (rows.min(), rows.max())
            (value,) = np.unique(labels[rows, columns])
            assert category[entry['category_id']]['color'] == _vistas_color(data, int(value))


def _vistas_color(data: Path, value: int) -> list[int]:
    config = json.loads((data / 'vistas' / 'config.json').read_text(encoding='utf-8'))
    color: list[int] = config['labels'][value]['color']
    return color


def test_readers_give_what_was_drawn(data: Path, tree: Hierarchy) -> None:
    drawn = draw_scene(load_style('vistas'), tree, 0, 'vistas/train', 3, SIZE)
    level_2 = tree.level_of_id[1][drawn.node_ids()]
    dataset = open_dataset('vistas_1.2', data / 'vistas', 'train', tree)
    index = next(i for i in range(IMAGES) if '00003' in dataset.image_path(i).name)
    sample = dataset[index]
    # Vistas knows everything but which sign it is.
    np.testing.assert_array_equal(sample.labels, level_2)
    # JPEG changes colours a little.
    assert np.abs(np.asarray(sample.image, int) - drawn.image).mean() < 6

    drawn = draw_scene(load_style('cityscapes'), tree, 0, 'cityscapes/train', 0, SIZE)
    level_1 = tree.level_of_id[0][drawn.node_ids()]
    sample = open_dataset('cityscapes', data / 'cityscapes', 'train', tree)[0]
    assert sample.labels is not None
    np.testing.assert_array_equal(np.asarray(sample.image), drawn.image)
    known = sample.labels != 255
    assert known.mean() > 0.7
    np.testing.assert_array_equal(tree.level_of_id[0][sample.labels][known], level_1[known])


@pytest.mark.parametrize(
    ('format_name', 'folder'),
    [('cityscapes', 'cityscapes'), ('vistas_1.2', 'vistas'), ('minicity', 'minicity')],
)
def test_every_class_occurs(data: Path, tree: Hierarchy, format_name: str, folder: str) -> None:
    dataset = open_dataset(format_name, data / folder, 'train', tree)
    assert len(dataset) == IMAGES
    assert len(open_dataset(format_name, data / folder, 'val', tree)) == VALIDATION
    counts = count_pixels(dataset)
    missing = [name for name in dataset.node_names if counts[tree.node(name).id] < 20]
    assert not missing
    assert len(dataset.node_names) == {'cityscapes': 26, 'vistas': 65, 'minicity': 19}[folder]


def test_every_sign_occurs_and_fills_its_box(data: Path, tree: Hierarchy) -> None:
    root = data / 'gtsdb'
    dataset = open_dataset('gtsdb', root, 'train', tree)
    boxes = [(i, box) for i in range(len(dataset)) for box in dataset[i].boxes or ()]
    assert {tree.node_by_id(box.node_id).traffic_sign_id for _, box in boxes} == set(range(43))
    for index in range(len(dataset)):
        path = dataset.image_path(index)
        mask = read(root / 'gtFine' / f'{path.stem}_labelIds.png')
        outside = mask.copy()
        for _, box in (entry for entry in boxes if entry[0] == index):
            left, top, right, bottom = (
                int(edge) for edge in (box.left, box.top, box.right, box.bottom)
            )
            assert 0 <= left < right <= mask.shape[1]
            assert 0 <= top < bottom <= mask.shape[0]
            assert 16 <= box.long_edge <= 128
            value = 2000 + (tree.node_by_id(box.node_id).traffic_sign_id or 0)
            inside = mask[top:bottom, left:right] == value
            # The least that a sign fills is a triangle, half of its box; a quarter may be hidden.
            assert inside.mean() > 0.75 * 0.48, (path.name, value)
            assert inside.any(axis=0).mean() > 0.75
            assert inside.any(axis=1).mean() > 0.75
            outside[top:bottom, left:right] = 0
        assert not outside.any(), path.name
    # Every sixth image is a negative.
    assert set(range(len(dataset))) - {index for index, _ in boxes} == {5, 11, 17, 23}


def test_boxes_hold_their_face_and_not_another(data: Path, tree: Hierarchy) -> None:
    """The list and the picture agree: of all faces the listed one is most like the picture."""
    templates = []
    for sign in load_signs(tree)[0].values():
        face = render_sign(sign, 24, 24)
        background = Image.new('RGB', (24, 24), (110, 110, 110))
        background.paste(face, (0, 0), face)
        templates.append(normalized(background))
    dataset = open_dataset('gtsdb', data / 'gtsdb', 'train', tree)
    likeness, right = [], []
    for index in range(len(dataset)):
        sample = dataset[index]
        for box in sample.boxes or ():
            region = (int(box.left), int(box.top), int(box.right), int(box.bottom))
            crop = normalized(sample.image.crop(region).resize((24, 24)))
            found = np.array(templates) @ crop
            class_id = tree.node_by_id(box.node_id).traffic_sign_id
            assert class_id is not None
            likeness.append(found[class_id])
            right.append(found.argmax() == class_id)
    assert np.mean(likeness) > 0.6
    # One that is small, dim and half hidden may be mistaken for its like.
    assert np.mean(right) > 0.9


def normalized(image: Image.Image) -> NDArray[np.float64]:
    """Return the middle of an image as a vector of length 1 and mean 0."""
    pixels = np.asarray(image, np.float64)[3:-3, 3:-3]
    pixels = pixels - pixels.mean(axis=(0, 1))
    vector: NDArray[np.float64] = pixels.ravel() / np.linalg.norm(pixels)
    return vector


def test_same_seed_same_bytes_whatever_the_number_and_the_processes(tmp_path: Path) -> None:
    formats = tuple(dataset_writing.STYLE_OF_FORMAT)
    synthesize(tmp_path / 'a', SynthesisOptions(formats, 3, 1, seed=7, size=0.25), 'same')
    synthesize(
        tmp_path / 'b', SynthesisOptions(formats, 3, 1, seed=7, size=0.25, workers=2), 'same'
    )
    first, second = (
        {name: (root / name).read_bytes() for name in names(root, '**/*.*')}
        for root in (tmp_path / 'a', tmp_path / 'b')
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []

    synthesize(tmp_path / 'fewer', SynthesisOptions(formats, 2, 0, seed=7, size=0.25), 'same')
    for name in names(tmp_path / 'fewer', '**/*.*'):
        # These four list all images.
        if not name.endswith(('README.txt', 'gt.txt', 'panoptic_2018.json')):
            assert (tmp_path / 'fewer' / name).read_bytes() == first[name], name

    synthesize(tmp_path / 'other', SynthesisOptions(('gtsdb',), 1, 0, seed=8, size=0.25), 'same')
    other = (tmp_path / 'other' / 'gtsdb' / '00000.ppm').read_bytes()
    assert other != first['gtsdb/00000.ppm']


def test_styles_differ(tree: Hierarchy) -> None:
    """The data sets are domains of their own: saturation and brightness differ on average."""
    vivid, dull = (
        np.mean(
            [
                np.ptp(
                    draw_scene(load_style(name), tree, 0, name, index, 0.25).image, axis=-1
                ).mean()
                for index in range(4)
            ]
        )
        for name in ('vistas', 'cityscapes')
    )
    assert vivid > 1.2 * dull


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out'
    arguments = ['synthesize', str(out), '--formats', 'gtsdb', '--images', '1', '--size', '0.25']
    assert cli.main([*arguments, '--validation', '0', '--seed', '5']) == 0
    assert f'{out / "gtsdb"}: 1 images for training, 0 for validation' in capsys.readouterr().out
    assert names(out, '*') == ['gtsdb']
    card = (out / 'gtsdb' / 'README.txt').read_text(encoding='utf-8')
    assert card.startswith('SYNTHETIC DATA')
    assert 'seed:     5' in card
    assert 'command:  hier-seg' in card

    assert cli.main(arguments) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.endswith('gtsdb: is not empty; remove it or name another folder')


def test_what_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(dataset_writing, 'write_gtsdb_list', full_disk)
    out = tmp_path / 'out'
    with pytest.raises(HierSegError, match=r'gtsdb: cannot be written \(No space left on device\)'):
        synthesize(out, SynthesisOptions(('gtsdb',), 1, 0, size=0.25), 'test')
    assert list(out.iterdir()) == []


def test_too_many_images_for_the_numbers_of_gtsdb(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match='501 images for train are too many'):
        synthesize(tmp_path / 'out', SynthesisOptions(('vistas', 'gtsdb'), 501, 0), 'test')
    assert not (tmp_path / 'out').exists()
