# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.camvid import CamVid
from hier_seg_trainer.datasets.gtsdb import Gtsdb
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import open_image, open_labels
from hier_seg_trainer.shapes import draw_outline
from hier_seg_trainer.training import open_dataset

MakeData = Callable[..., Path]


@pytest.fixture
def camvid(tmp_path: Path, make_camvid: MakeData) -> Path:
    return make_camvid(tmp_path / 'camvid', {'train': 2, 'val': 1})


# CamVid


def test_camvid_gives_images_with_node_ids(camvid: Path, tree: Hierarchy) -> None:
    dataset = CamVid(camvid, 'train', tree)
    assert len(dataset) == 2
    assert dataset.image_path(1) == camvid / 'train' / '0001.png'
    sample = dataset[1]
    assert sample.boxes is None
    assert sample.labels is not None
    stored = np.asarray(Image.open(camvid / 'trainannot' / '0001.png'))
    names = {0: 'Sky', 1: 'Building', 3: 'Driveable', 8: 'Car'}
    for value, name in names.items():
        assert (sample.labels == tree.node(name).id).tolist() == (stored == value).tolist()
    assert ((sample.labels == UNLABELLED) == (stored == 11)).all()
    pixels = np.asarray(sample.image)
    assert pixels.shape == (64, 96, 3)
    assert pixels[0, 50].tolist() == [120, 180, 255]


def test_camvid_reads_jpeg_images_and_palette_labels(camvid: Path, tree: Hierarchy) -> None:
    Image.new('RGB', (30, 20), (9, 90, 200)).save(camvid / 'val' / 'a.jpg')
    values = np.tile(np.array([[0, 3, 11]], np.uint8), (20, 10))
    palette = Image.fromarray(values, 'L').convert('P')
    palette.putdata(values.ravel().tolist())
    palette.putpalette([200, 0, 0] * 256)
    palette.save(camvid / 'valannot' / 'a.png')
    dataset = CamVid(camvid, 'val', tree)
    sample = dataset[len(dataset) - 1]
    assert sample.image.size == (30, 20)
    assert sample.labels is not None
    expected = [tree.node('Sky').id, tree.node('Driveable').id, UNLABELLED]
    assert sample.labels[0, :3].tolist() == expected


def test_camvid_without_the_labels_of_an_image_is_refused(camvid: Path, tree: Hierarchy) -> None:
    (camvid / 'trainannot' / '0001.png').unlink()
    with pytest.raises(HierSegError, match=r'trainannot/0001\.png: is missing; .*labels'):
        CamVid(camvid, 'train', tree)


def test_camvid_without_a_folder_is_refused(camvid: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'camvid/test: does not exist; .*testannot/'):
        CamVid(camvid, 'test', tree)


def test_camvid_without_images_is_refused(camvid: Path, tree: Hierarchy) -> None:
    (camvid / 'val' / '0000.png').unlink()
    with pytest.raises(HierSegError, match=r'camvid/val: holds no PNG or JPEG'):
        CamVid(camvid, 'val', tree)


def test_camvid_labels_of_another_size_are_refused(camvid: Path, tree: Hierarchy) -> None:
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(camvid / 'trainannot' / '0000.png')
    with pytest.raises(HierSegError, match=r'trainannot/0000\.png: is 12x10, its image 96x64'):
        CamVid(camvid, 'train', tree)[0]


def test_camvid_values_of_another_kind_are_refused(camvid: Path, tree: Hierarchy) -> None:
    Image.fromarray(np.full((64, 96), 33, np.uint8)).save(camvid / 'trainannot' / '0000.png')
    with pytest.raises(HierSegError, match=r'trainannot/0000\.png: .*\[33\]'):
        CamVid(camvid, 'train', tree)[0]


# GTSDB


def test_gtsdb_corners_are_inclusive(tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [0, 1])
    dataset = Gtsdb(root, 'train', tree)
    sample = dataset[0]
    assert sample.labels is None
    assert sample.boxes is not None
    first, second = sample.boxes
    assert (first.left, first.top, first.right, first.bottom) == (10, 20, 30, 40)
    assert first.node_id == tree.node('speed limit 30').id
    assert second.node_id == tree.node('keep right').id
    assert first.shape == 'circle'
    assert first.long_edge == 20
    # The disc in the image fills exactly that box.
    red = np.asarray(sample.image)[..., 0] > 200
    rows, columns = np.nonzero(red)
    assert (columns.min(), rows.min()) == (10, 20)
    assert (columns.max() + 1, rows.max() + 1) == (30, 40)


def test_gtsdb_image_without_a_line_is_a_negative(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    dataset = Gtsdb(make_gtsdb(tmp_path / 'gtsdb', [0, 1]), 'train', tree)
    assert len(dataset) == 2
    assert dataset[1].boxes == ()
    assert dataset.boxes(1) == ()


def test_gtsdb_splits_by_number(tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [0, 499, 500, 599, 600, 899])
    for split, numbers in (('train', [0, 499]), ('val', [500, 599]), ('test', [600, 899])):
        dataset = Gtsdb(root, split, tree)
        found = [int(dataset.image_path(i).stem) for i in range(len(dataset))]
        assert found == numbers


def test_gtsdb_reads_jpeg_as_well_as_ppm(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [0])
    open_image(root / '00000.ppm').save(root / '00002.jpg', quality=95)
    with (root / 'gt.txt').open('a', encoding='utf-8') as file:
        file.write('\n00002.ppm;1;2;3;4;14\n')
    dataset = Gtsdb(root, 'train', tree)
    assert [dataset.image_path(i).name for i in range(2)] == ['00000.ppm', '00002.jpg']
    (stop,) = dataset.boxes(1)
    assert (stop.shape, stop.node_id) == ('octagon', tree.node('stop').id)
    difference = np.asarray(dataset[1].image, int) - np.asarray(dataset[0].image, int)
    assert np.abs(difference).mean() < 5


@pytest.mark.parametrize(
    'line',
    [
        '00000.ppm;1;2;3;4',
        '00000.ppm;1;2;3;4;43',
        '00000.ppm;1;2;x;4;1',
        '00000.ppm,1,2,3,4,1',
        '00000.ppm;9;2;3;4;1',
        '00000.ppm;1;2;3;4;1;5',
    ],
)
def test_gtsdb_wrong_line_is_refused(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy, line: str
) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [1])
    (root / 'gt.txt').write_text(f'00001.ppm;1;2;3;4;5\n{line}\n', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'gt\.txt: line 2') as raised:
        Gtsdb(root, 'train', tree)
    assert line in str(raised.value)
    assert '\n' not in str(raised.value)


def test_gtsdb_without_its_list_folder_or_images_is_refused(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [0])
    with pytest.raises(HierSegError, match=r'no image of the val split \(00500-00599'):
        Gtsdb(root, 'val', tree)
    (root / 'gt.txt').unlink()
    with pytest.raises(HierSegError, match=r'gt\.txt: cannot be read'):
        Gtsdb(root, 'train', tree)
    with pytest.raises(HierSegError, match=r'elsewhere: does not exist'):
        Gtsdb(tmp_path / 'elsewhere', 'train', tree)


@pytest.mark.parametrize('format_name', ['camvid', 'gtsdb'])
def test_an_unknown_split_is_refused(small_data: Path, tree: Hierarchy, format_name: str) -> None:
    with pytest.raises(HierSegError, match=r"no split 'training'; choose among train, val, test"):
        open_dataset(format_name, small_data / format_name, 'training', tree)


def test_an_unknown_format_is_refused(small_data: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r"'cityscape'.*camvid, gtsdb"):
        open_dataset('cityscape', small_data, 'train', tree)


# GTSRB


def test_gtsrb_gives_the_region_of_the_sign(
    tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy
) -> None:
    colors = {1: (220, 30, 30), 13: (250, 250, 250)}
    signs = Gtsrb(make_gtsrb(tmp_path / 'gtsrb', colors, frames=3), tree)
    assert len(signs) == 6
    rng = np.random.default_rng(0)
    for _ in range(10):
        picture, crop = signs.random_crop(rng)
        assert picture.size == (14, 16)
        value = int(crop.path.parent.name)
        assert (np.asarray(picture) == colors[value]).all(), 'the border belongs to no sign'
        assert crop.node_id == 65 + value
        assert crop.shape == ('circle' if value == 1 else 'inverted triangle')


def test_gtsrb_classes_are_equally_likely(
    tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy
) -> None:
    make_gtsrb(tmp_path / 'gtsrb', {1: (1, 1, 1)}, frames=9)
    make_gtsrb(tmp_path / 'gtsrb', {2: (2, 2, 2)}, frames=1)
    signs = Gtsrb(tmp_path / 'gtsrb', tree)
    rng = np.random.default_rng(0)
    rare = sum(signs.random_crop(rng)[1].node_id == 67 for _ in range(200))
    assert 70 < rare < 130


def test_gtsrb_faults_are_refused(tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'holds no GT-\*\.csv'):
        Gtsrb(tmp_path, tree)
    root = make_gtsrb(tmp_path / 'gtsrb', {1: (1, 1, 1)})
    table = root / 'Final_Training' / 'Images' / '00001' / 'GT-00001.csv'
    text = table.read_text(encoding='utf-8')
    for wrong in (text.replace(';1\n', ';99\n'), text.replace(';3;4;', ';x;4;'), 'a;b\n1;2\n'):
        table.write_text(wrong, encoding='utf-8')
        with pytest.raises(HierSegError, match=r'GT-00001\.csv: the row'):
            Gtsrb(root, tree)
    table.write_text(text, encoding='utf-8')
    (table.parent / '00000_00001.ppm').unlink()
    with pytest.raises(HierSegError, match=r'00000_00001\.ppm: is missing; GT-00001\.csv lists it'):
        Gtsrb(root, tree)


# Files


@pytest.mark.parametrize('content', [b'', b'no image', b'P6\n20 20\n255\nshort'])
def test_a_broken_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'broken.ppm'
    path.write_bytes(content)
    with pytest.raises(
        HierSegError, match=r'broken\.ppm: cannot be read as an image.*restore'
    ) as e:
        open_image(path)
    assert '\n' not in str(e.value)


def test_a_cut_off_image_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for name in ('a.png', 'a.jpg'):
        path = tmp_path / name
        Image.fromarray(noise).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(HierSegError, match=rf'{name}: cannot be read'):
            open_image(path)


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'gone\.png: cannot be read'):
        open_labels(tmp_path / 'gone.png')


def test_grey_images_become_rgb_and_colour_is_no_label(tmp_path: Path) -> None:
    Image.new('L', (4, 3), 9).save(tmp_path / 'grey.png')
    assert np.asarray(open_image(tmp_path / 'grey.png')).tolist() == [[[9, 9, 9]] * 4] * 3
    Image.new('RGB', (4, 3)).save(tmp_path / 'color.png')
    with pytest.raises(HierSegError, match=r'color\.png: is no label image.*RGB.*8-bit'):
        open_labels(tmp_path / 'color.png')


# The real data


def test_real_camvid(real_data: Path, tree: Hierarchy) -> None:
    for split, count in (('train', 367), ('val', 101)):
        dataset = CamVid(real_data / 'camvid', split, tree)
        assert len(dataset) == count
        sample = dataset[count // 2]
        assert sample.image.size == (480, 360)
        assert sample.labels is not None
        present = set(np.unique(sample.labels).tolist()) - {UNLABELLED}
        known = {tree.node(name).id for name in dataset.node_names}
        assert present <= known
        # A street: road and sky or buildings.
        assert tree.node('Driveable').id in present
        sky_rows = np.nonzero(sample.labels == tree.node('Sky').id)[0]
        road_rows = np.nonzero(sample.labels == tree.node('Driveable').id)[0]
        assert sky_rows.mean() < road_rows.mean()


def test_real_gtsdb_counts(real_data: Path, tree: Hierarchy) -> None:
    counts = {}
    for split in ('train', 'val'):
        dataset = Gtsdb(real_data / 'gtsdb', split, tree)
        counts[split] = (len(dataset), sum(len(dataset.boxes(i)) for i in range(len(dataset))))
    assert (counts['train'][0], counts['val'][0]) == (500, 100)
    assert counts['train'][1] + counts['val'][1] == 852


def test_real_gtsdb_boxes_and_outlines_agree_with_the_masks(
    real_data: Path, tree: Hierarchy
) -> None:
    dataset = Gtsdb(real_data / 'gtsdb', 'val', tree)
    alone = [i for i in range(len(dataset)) if len(dataset.boxes(i)) == 1][:12]
    assert len(alone) == 12
    overlaps = []
    for index in alone:
        (box,) = dataset.boxes(index)
        name = f'{dataset.image_path(index).stem}_labelIds.png'
        with Image.open(real_data / 'gtsdb' / 'gtFine' / name) as file:
            mask = np.array(file)
        sign = int(tree.traffic_sign_of_id[box.node_id])
        assert set(np.unique(mask)) == {0, 2000 + sign}
        rows, columns = np.nonzero(mask)
        # The authors drew their shapes by hand: a pixel to either side.
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert found == pytest.approx((box.left, box.top, box.right, box.bottom), abs=2)
        outline = Image.new('L', (mask.shape[1], mask.shape[0]), 0)
        draw_outline(outline, box, 1)
        ours = np.array(outline, bool)
        overlaps.append((ours & (mask > 0)).sum() / (ours | (mask > 0)).sum())
    assert np.mean(overlaps) > 0.9


def test_real_gtsrb(real_data: Path, tree: Hierarchy) -> None:
    signs = Gtsrb(real_data / 'gtsrb', tree)
    assert len(signs) == 7842
    rng = np.random.default_rng(0)
    seen = {signs.random_crop(rng)[1].node_id for _ in range(300)}
    assert len(seen) > 35
    assert seen <= {node.id for node in tree.nodes if node.traffic_sign_id is not None}
