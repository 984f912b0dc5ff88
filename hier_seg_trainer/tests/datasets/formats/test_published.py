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
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.opening import FORMATS, open_dataset
from hier_seg_trainer.datasets.shapes import draw_outline
from hier_seg_trainer.datasets.stored_pixels import open_image

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
    with pytest.raises(HierSegError, match=r'0001\.png: its labels .*annot/0001\.png are missing'):
        CamVid(camvid, 'train', tree)


def test_camvid_without_a_folder_is_refused(camvid: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'camvid/test: does not exist; .*testannot/'):
        CamVid(camvid, 'test', tree)


def test_camvid_without_images_is_refused(camvid: Path, tree: Hierarchy) -> None:
    (camvid / 'val' / '0000.png').unlink()
    with pytest.raises(HierSegError, match=r'camvid/val: holds no image'):
        CamVid(camvid, 'val', tree)


def test_camvid_labels_of_another_size_are_refused(camvid: Path, tree: Hierarchy) -> None:
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(camvid / 'trainannot' / '0000.png')
    with pytest.raises(HierSegError, match=r'trainannot/0000\.png: is 12x10, its image 96x64'):
        CamVid(camvid, 'train', tree)[0]


def test_camvid_values_of_another_kind_are_refused(camvid: Path, tree: Hierarchy) -> None:
    Image.fromarray(np.full((64, 96), 33, np.uint8)).save(camvid / 'trainannot' / '0000.png')
    with pytest.raises(HierSegError, match=r'trainannot/0000\.png: .* 33 \(6144 pixels\)'):
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


def test_gtsdb_lies_in_its_own_folder_after_unpacking(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    root = make_gtsdb(tmp_path / 'FullIJCNN2013', [0, 1])
    assert Gtsdb(tmp_path, 'train', tree).image_path(0) == root / '00000.ppm'


def test_gtsdb_with_a_listed_image_missing_is_refused(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [0, 1, 2, 4, 500])
    (root / '00002.ppm').unlink()
    (root / '00004.ppm').unlink()
    with pytest.raises(
        HierSegError,
        match=r'00002\.ppm: is missing.*\(and 1 more; hier-seg inspect',
    ):
        Gtsdb(root, 'train', tree)
    assert len(Gtsdb(root, 'val', tree)) == 1, 'the other split is whole'
    # An image without a sign is not listed, so it cannot be missed.
    (root / '00001.ppm').unlink()
    make_gtsdb(tmp_path / 'again', [2, 4])
    for name in ('00002.ppm', '00004.ppm'):
        (tmp_path / 'again' / name).rename(root / name)
    assert len(Gtsdb(root, 'train', tree)) == 3


def test_gtsdb_says_what_its_boxes_are_worth(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    dataset = Gtsdb(make_gtsdb(tmp_path / 'gtsdb', [0]), 'trainval', tree)
    assert dataset.supervision == 'boxes'
    assert dataset.complete_boxes
    assert dataset.label_path(0) is None
    mirror = {
        node.readable_name: int(dataset.mirror_of_id[node.id])
        for node in tree.nodes
        if dataset.mirror_of_id[node.id] >= 0
    }
    assert mirror['go left'] == tree.node('go right').id
    assert mirror['keep right'] == tree.node('keep left').id
    assert mirror['give way'] == tree.node('give way').id
    assert 'stop' not in mirror
    assert dataset.mirror_of_id[UNLABELLED] == UNLABELLED


def test_gtsdb_box_outside_the_image_is_refused(
    tmp_path: Path, make_gtsdb: MakeData, tree: Hierarchy
) -> None:
    root = make_gtsdb(tmp_path / 'gtsdb', [1], size=(96, 64))
    (root / 'gt.txt').write_text('00001.ppm;96;2;99;4;5\n', encoding='utf-8')
    with pytest.raises(
        HierSegError, match=r'00001\.ppm: the box 96, 2, 100, 5 lies outside.*96x64'
    ):
        Gtsdb(root, 'train', tree)[0]


# All formats


@pytest.mark.parametrize('format_name', ['camvid', 'gtsdb', 'gtsrb'])
def test_an_unknown_split_is_refused(small_data: Path, tree: Hierarchy, format_name: str) -> None:
    with pytest.raises(HierSegError, match=r"no split 'training'; choose among train, val, test"):
        open_dataset(format_name, small_data / format_name, 'training', tree)


def test_an_unknown_format_is_refused(small_data: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r"'cityscape'.*camvid, cityscapes, "):
        open_dataset('cityscape', small_data, 'train', tree)


@pytest.mark.parametrize('format_name', FORMATS)
@pytest.mark.parametrize('root', ['empty', 'nowhere'])
def test_a_folder_without_the_data_is_refused_in_one_line(
    tmp_path: Path, tree: Hierarchy, format_name: str, root: str
) -> None:
    (tmp_path / 'empty').mkdir()
    mapping = tmp_path / 'mine.yaml'
    mapping.write_text('format: 1\nclasses: [{value: 0, name: a, node: Sky}]\n', encoding='utf-8')
    needed = (
        mapping
        if format_name in ('folder', 'polygons', 'boxes_csv', 'boxes_coco', 'masks_coco')
        else None
    )
    with pytest.raises(HierSegError, match=rf'{tmp_path / root}[^ ]*:? ') as raised:
        open_dataset(format_name, tmp_path / root, 'train', tree, needed)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('format_name', ['folder', 'boxes_csv', 'boxes_coco', 'masks_coco'])
def test_a_format_for_own_data_needs_a_mapping(
    tmp_path: Path, tree: Hierarchy, format_name: str
) -> None:
    with pytest.raises(HierSegError, match=rf'{format_name}: needs a mapping file'):
        open_dataset(format_name, tmp_path, 'train', tree)


def test_a_mapping_replaces_the_bundled_one(
    tmp_path: Path, small_data: Path, tree: Hierarchy
) -> None:
    mapping = tmp_path / 'signs.yaml'
    mapping.write_text(
        'format: 1\nclasses:\n- {value: 1, name: thirty, node: stop}\n'
        '- {value: 38, name: b, node: Car}\n',
        encoding='utf-8',
    )
    dataset = Gtsdb(small_data / 'gtsdb', 'train', tree, mapping)
    assert {box.node_id for box in dataset.boxes(0)} == {tree.node('stop').id, tree.node('Car').id}
    assert not dataset.complete_boxes
    assert [box.shape for box in dataset.boxes(0)] == ['rectangle'] * 2


# GTSRB


def test_gtsrb_gives_the_region_of_the_sign(
    tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy
) -> None:
    colors = {1: (220, 30, 30), 13: (250, 250, 250)}
    signs = Gtsrb(make_gtsrb(tmp_path / 'gtsrb', colors, frames=3), 'train', tree)
    assert len(signs) == 6
    rng = np.random.default_rng(0)
    for _ in range(10):
        picture, crop = signs.random_crop(rng)
        assert picture.size == (14, 16)
        value = int(crop.image.parent.name)
        assert (np.asarray(picture) == colors[value]).all(), 'the border belongs to no sign'
        assert crop.node_id == 65 + value
        assert crop.shape == ('circle' if value == 1 else 'inverted triangle')


def test_gtsrb_classes_are_equally_likely(
    tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy
) -> None:
    make_gtsrb(tmp_path / 'gtsrb', {1: (1, 1, 1)}, frames=9)
    make_gtsrb(tmp_path / 'gtsrb', {2: (2, 2, 2)}, frames=1)
    signs = Gtsrb(tmp_path / 'gtsrb', 'train', tree)
    rng = np.random.default_rng(0)
    rare = sum(signs.random_crop(rng)[1].node_id == 67 for _ in range(200))
    assert 70 < rare < 130


def test_gtsrb_faults_are_refused(tmp_path: Path, make_gtsrb: MakeData, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'holds no GT-\*\.csv'):
        Gtsrb(tmp_path, 'train', tree)
    root = make_gtsrb(tmp_path / 'gtsrb', {1: (1, 1, 1)})
    table = root / 'Final_Training' / 'Images' / '00001' / 'GT-00001.csv'
    text = table.read_text(encoding='utf-8')
    for wrong, reason in (
        (text.replace(';1\n', ';99\n'), r'gtsdb\.yaml has no class 99'),
        (text.replace(';3;4;', ';x;4;'), 'the row .* cannot be used'),
        (text.replace(';3;4;', ';17;4;'), 'the region 17, 4, 16, 19 is empty'),
        ('a;b\n1;2\n', 'the row .* cannot be used'),
    ):
        table.write_text(wrong, encoding='utf-8')
        with pytest.raises(HierSegError, match=rf'GT-00001\.csv: line 2: {reason}'):
            Gtsrb(root, 'train', tree)
    table.write_text(text, encoding='utf-8')
    (table.parent / '00000_00001.ppm').unlink()
    with pytest.raises(HierSegError, match=r'00000_00001\.ppm: is missing; the list beside it'):
        Gtsrb(root, 'train', tree)


def write_tracks(root: Path, value: int, tracks: int, frames: int) -> None:
    """Write a class of the GTSRB with `frames` frames of each of its tracks."""
    folder = root / 'Final_Training' / 'Images' / f'{value:05d}'
    folder.mkdir(parents=True)
    rows = ['Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId']
    for track in range(tracks):
        for frame in range(frames):
            name = f'{track:05d}_{frame:05d}.ppm'
            Image.new('RGB', (20, 24), (track, frame, value)).save(folder / name)
            rows.append(f'{name};20;24;3;4;16;19;{value}')
    (folder / f'GT-{value:05d}.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')


def test_gtsrb_is_split_by_track(tmp_path: Path, tree: Hierarchy) -> None:
    write_tracks(tmp_path, 1, tracks=11, frames=3)
    write_tracks(tmp_path, 2, tracks=4, frames=2)
    found = {}
    for split in ('train', 'val'):
        dataset = Gtsrb(tmp_path, split, tree)
        paths = [dataset.image_path(i) for i in range(len(dataset))]
        assert len(set(paths)) == len(paths)
        found[split] = {(path.parent.name, path.name.split('_')[0]) for path in paths}
        frames = 3 * sum(folder == '00001' for folder, _ in found[split])
        assert len(paths) == frames + 2 * sum(folder == '00002' for folder, _ in found[split])
    assert not found['train'] & found['val'], 'a sign is in one split only'
    assert found['val'] == {('00001', '00004'), ('00001', '00009')}
    assert len(found['train'] | found['val']) == 15


def test_gtsrb_sample_shows_one_sign(tmp_path: Path, tree: Hierarchy) -> None:
    write_tracks(tmp_path, 14, tracks=5, frames=1)
    dataset = Gtsrb(tmp_path, 'val', tree)
    assert dataset.supervision == 'image'
    sample = dataset[0]
    assert (sample.labels, sample.boxes) == (None, None)
    assert sample.image_label == tree.node('stop').id
    assert sample.image.size == (20, 24), 'with its border'
    assert sample.image.getpixel((0, 0)) == (4, 0, 14)
    assert dataset.label_path(0) is None


def test_gtsrb_test_split_has_its_own_list(tmp_path: Path, tree: Hierarchy) -> None:
    folder = tmp_path / 'Final_Test' / 'Images'
    folder.mkdir(parents=True)
    Image.new('RGB', (20, 24), (7, 8, 9)).save(folder / '00000.ppm')
    header = 'Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2'
    table = folder / 'GT-final_test.csv'
    table.write_text(f'{header};ClassId\n00000.ppm;20;24;3;4;16;19;40\n', encoding='utf-8')
    dataset = Gtsrb(tmp_path, 'test', tree)
    assert [dataset[i].image_label for i in range(len(dataset))] == [tree.node('roundabout').id]
    # The list that was handed out before the competition ended has no classes.
    table.write_text(f'{header}\n00000.ppm;20;24;3;4;16;19\n', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'GT-final_test\.csv: line 2: the row.*ClassId'):
        Gtsrb(tmp_path, 'test', tree)


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
    signs = Gtsrb(real_data / 'gtsrb', 'train', tree)
    validation = Gtsrb(real_data / 'gtsrb', 'val', tree)
    assert len(signs) + len(validation) == 7842
    assert 0.15 < len(validation) / 7842 < 0.2
    signs_of = {node.id for node in tree.nodes if node.traffic_sign_id is not None}
    rng = np.random.default_rng(0)
    seen = {signs.random_crop(rng)[1].node_id for _ in range(300)}
    assert len(seen) > 35
    assert seen <= signs_of
    assert signs[0].image_label == tree.node('speed limit 20').id
    assert signs[len(signs) - 1].image_label in signs_of
