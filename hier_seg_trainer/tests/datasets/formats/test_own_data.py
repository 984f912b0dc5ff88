# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own data: a folder of label images, boxes in CSV, boxes in COCO's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.formats.box_table import BoxTable
from hier_seg_trainer.datasets.formats.coco import CocoBoxes, CocoMasks
from hier_seg_trainer.datasets.formats.label_folder import LabelFolder
from hier_seg_trainer.datasets.readers.regions import Runs
from hier_seg_trainer.datasets.readers.run_lengths import read_runs

SIZE = (24, 16)


@pytest.fixture
def field() -> Hierarchy:
    """Return a tree that has nothing to do with streets."""
    nodes = [
        {'id': 10, 'name': 'soil', 'color': [90, 60, 30]},
        {'id': 20, 'name': 'plant', 'readable_name': 'Plant', 'color': [0, 200, 0]},
        {'id': 21, 'name': 'plant--crop', 'color': [0, 255, 0], 'parent': 'plant'},
        {'id': 22, 'name': 'plant--weed', 'color': [255, 0, 0], 'parent': 'plant'},
    ]
    return Hierarchy({'format': 1, 'name': 'field', 'nodes': nodes})


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / 'field.yaml'
    path.write_text(
        'format: 1\nmirror: all\nclasses:\n'
        '- {value: 1, name: earth, node: soil}\n'
        '- {value: 40, name: maize, node: plant--crop, shape: circle}\n'
        '- {value: 200, name: green, node: Plant}\n'
        'ignored: [{value: 0, name: nothing}]\n',
        encoding='utf-8',
    )
    return path


def write_image(path: Path, color: tuple[int, int, int] = (3, 4, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', SIZE, color).save(path)


def write_labels(path: Path, value: int = 1, mode: str = 'L') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((SIZE[1], SIZE[0]), value, np.uint8)
    values[0, 0] = 0
    image = Image.fromarray(values)
    if mode == 'P':
        image = Image.new('P', SIZE)
        image.putdata(values.ravel().tolist())
        image.putpalette([7, 8, 9] * 256)
    image.save(path)


# Label images


@pytest.mark.parametrize('layout', ['images/{}', '{}/images', 'list'])
def test_a_folder_is_read_in_each_layout(
    tmp_path: Path, field: Hierarchy, mapping: Path, layout: str
) -> None:
    for split, value in (('train', 40), ('val', 200)):
        folder = 'images' if layout == 'list' else layout.format(split)
        stem = f'{split}_1'
        write_image(tmp_path / folder / f'{stem}.jpg')
        write_image(tmp_path / folder / 'sub' / f'{stem}.png')
        labels = tmp_path / folder.replace('images', 'labels')
        write_labels(labels / f'{stem}.png', value)
        write_labels(labels / 'sub' / f'{stem}.png', 1, 'P')
        if layout == 'list':
            text = f'# {split}\n{stem}.jpg\n\nsub/{stem}\n'
            (tmp_path / f'{split}.txt').write_text(text, encoding='utf-8')
    for split, node in (('train', 'plant--crop'), ('val', 'plant')):
        dataset = LabelFolder(tmp_path, split, field, mapping)
        names = {dataset.image_path(i).name for i in range(len(dataset))}
        assert len(dataset) == 2
        assert names == {f'{split}_1.jpg', f'{split}_1.png'}
        by_suffix = {dataset.image_path(i).suffix: dataset[i] for i in range(2)}
        for suffix, expected in (('.jpg', node), ('.png', 'soil')):
            labels_found = by_suffix[suffix].labels
            assert labels_found is not None
            assert labels_found[0, 0] == UNLABELLED
            assert (labels_found.ravel()[1:] == field.node(expected).id).all()
    assert dataset.supervision == 'pixels'
    assert dataset.instances(0) is None
    assert dataset.node_names == {'soil', 'plant--crop', 'plant'}
    assert dataset.mirror_of_id[21] == 21
    assert dataset.title == tmp_path.name


def test_a_folder_with_gaps_is_refused(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    def refused(reason: str) -> None:
        with pytest.raises(HierSegError, match=reason) as raised:
            LabelFolder(tmp_path, 'train', field, mapping)
        assert '\n' not in str(raised.value)

    refused(r"has no split 'train': neither images/train/ nor train/images/ nor a list train\.txt")
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_image(tmp_path / 'images' / 'train' / 'b.jpg')
    refused(r'labels/train: does not exist')
    write_labels(tmp_path / 'labels' / 'train' / 'a.png')
    refused(r'images/train/b\.jpg: its labels .*labels/train/b\.png are missing')
    Image.new('L', SIZE).save(tmp_path / 'labels' / 'train' / 'b.jpg')
    refused(r'images/train/b\.jpg: its labels .*labels/train/b\.jpg must be a PNG')
    (tmp_path / 'labels' / 'train' / 'b.jpg').unlink()
    write_labels(tmp_path / 'labels' / 'train' / 'b.png')
    assert len(LabelFolder(tmp_path, 'train', field, mapping)) == 2
    write_image(tmp_path / 'images' / 'train' / 'b.png')
    refused(r'images/train/b\.png: is there as b\.jpg too')


def test_pictures_in_formats_that_are_not_read_are_named(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    images = tmp_path / 'images' / 'train'
    write_image(images / 'a.jpg')
    write_labels(tmp_path / 'labels' / 'train' / 'a.png')
    others = ['b.HEIC', 'c.avif', 'd.gif', 'e.cr2', 'sub/f.jp2']
    for name in (*others, '._g.heic', 'notes.txt', 'photo.jpg.xmp'):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).touch()
    dataset = LabelFolder(tmp_path, 'train', field, mapping, strict=False)
    assert {(fault.kind, fault.path) for fault in dataset.faults} == {
        ('unread_format', images / name) for name in others
    }
    assert len(LabelFolder(tmp_path, 'train', field, mapping)) == 1, 'training does without them'
    (images / 'a.jpg').unlink()
    with pytest.raises(HierSegError, match=r'holds no image .*such as b\.HEIC, is not read'):
        LabelFolder(tmp_path, 'train', field, mapping)


def test_a_wrong_list_is_refused(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    write_image(tmp_path / 'images' / 'a.jpg')
    write_labels(tmp_path / 'labels' / 'a.png')
    for text, reason in (
        ('a\nb.jpg\n', r"train\.txt: line 2: 'b\.jpg' is not in "),
        ('a.jpg\n\na\n', r"train\.txt: line 3: 'a' is listed twice"),
        ('# none\n', r'train\.txt: lists no image'),
    ):
        (tmp_path / 'train.txt').write_text(text, encoding='utf-8')
        with pytest.raises(HierSegError, match=reason):
            LabelFolder(tmp_path, 'train', field, mapping)


def test_wrong_label_images_are_refused(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    path = tmp_path / 'labels' / 'train' / 'a.png'
    write_labels(path, 41)
    dataset = LabelFolder(tmp_path, 'train', field, mapping)
    with pytest.raises(HierSegError, match=r'a\.png: holds the label values 41 \(383 pixels\)'):
        dataset[0]
    Image.new('L', (5, 5), 1).save(path)
    with pytest.raises(HierSegError, match=r'a\.png: is 5x5, its image 24x16'):
        dataset[0]
    Image.fromarray(np.full((SIZE[1], SIZE[0]), 256, np.uint16)).save(path)
    with pytest.raises(HierSegError, match=r'a\.png: is no label image.*mode is I.*8-bit'):
        dataset[0]


def test_a_mapping_without_values_cannot_read_label_images(
    tmp_path: Path, field: Hierarchy
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_labels(tmp_path / 'labels' / 'train' / 'a.png')
    mapping = tmp_path / 'names.yaml'
    mapping.write_text('format: 1\nclasses: [{name: earth, node: soil}]\n', encoding='utf-8')
    with pytest.raises(HierSegError, match=r"names\.yaml: class 'earth': has no value"):
        LabelFolder(tmp_path, 'train', field, mapping)


# Colours in place of values

PINK, BLUE, BLACK = (200, 0, 90), (0, 0, 250), (0, 0, 0)


def write_colors(path: Path, mode: str = 'RGB') -> None:
    """Write a mask: a black corner, one blue row, and pink."""
    image = Image.new('RGB', SIZE, PINK)
    image.paste(BLUE, (0, 5, SIZE[0], 6))
    image.putpixel((0, 0), BLACK)
    if mode == 'P':
        image = image.quantize(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.mark.parametrize('mode', ['RGB', 'P'])
@pytest.mark.parametrize('from_label_map', [False, True])
def test_a_mask_tells_classes_by_colour(
    tmp_path: Path, field: Hierarchy, mapping: Path, mode: str, from_label_map: bool
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_colors(tmp_path / 'labels' / 'train' / 'a.png', mode)
    colors = {'earth': PINK, 'maize': BLUE, 'nothing': BLACK}
    texts = {name: '' if from_label_map else f'color: {[*rgb]}, ' for name, rgb in colors.items()}
    mapping.write_text(
        'format: 1\nclasses:\n'
        f'- {{{texts["earth"]}name: earth, node: soil}}\n'
        f'- {{{texts["maize"]}name: maize, node: plant--crop}}\n'
        f'ignored: [{{{texts["nothing"]}name: nothing}}]\n',
        'utf-8',
    )
    if from_label_map:
        write_label_map(tmp_path, colors)
    labels = LabelFolder(tmp_path, 'train', field, mapping)[0].labels
    expected = np.full((SIZE[1], SIZE[0]), field.node('soil').id)
    expected[5] = field.node('plant--crop').id
    expected[0, 0] = UNLABELLED
    np.testing.assert_array_equal(labels, expected)


def write_label_map(root: Path, colors: dict[str, tuple[int, ...]]) -> Path:
    """Write a ``labelmap.txt`` as CVAT does."""
    lines = [f'{name}:{",".join(map(str, color))}::' for name, color in colors.items()]
    # Whoever writes it by hand puts spaces after the commas.
    lines[-1:] = [lines[-1].replace(',', ', ')]
    text = '\n'.join(['# label:color_rgb:parts:actions', *lines]) + '\n'
    (root / 'labelmap.txt').write_text(text, 'utf-8')
    return root / 'labelmap.txt'


def test_an_unknown_colour_is_named_with_its_pixels(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_colors(tmp_path / 'labels' / 'train' / 'a.png')
    mapping.write_text(
        'format: 1\nclasses: [{name: earth, node: soil, color: [0, 0, 0]}]\n', 'utf-8'
    )
    dataset = LabelFolder(tmp_path, 'train', field, mapping)
    blue, pink = SIZE[0], SIZE[0] * (SIZE[1] - 1) - 1
    with pytest.raises(
        HierSegError,
        match=rf'a\.png: holds the colours \[200, 0, 90\] \({pink} pixels\), '
        rf'\[0, 0, 250\] \({blue} pixels\), which field\.yaml does not list',
    ):
        dataset[0]


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('earth:1,2,3\n', "line 1 is 'earth:1,2,3'; write each class once"),
        ('# a\nearth:1,2,256::\n', 'line 2 is'),
        ('earth:1,2,3::\nearth:4,5,6::\n', 'line 2 is'),
        ('earth:1,2,3::\nmaize:1,2,3::\n', r"'maize': its color \(1, 2, 3\) is also .*'earth'"),
        ('background:0,0,0::\n', r"has the class 'background', which field\.yaml does not list"),
        ('nothing:0,0,0::\n', r'has no class that field\.yaml puts on a node'),
        ('', r'has no class that field\.yaml puts on a node'),
    ],
)
def test_a_wrong_label_map_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path, text: str, reason: str
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_colors(tmp_path / 'labels' / 'train' / 'a.png')
    mapping.write_text(
        'format: 1\nclasses: [{name: earth, node: soil}, {name: maize, node: plant--crop}]\n'
        'ignored: [{name: nothing}]\n',
        'utf-8',
    )
    (tmp_path / 'labelmap.txt').write_text(text, 'utf-8')
    with pytest.raises(HierSegError, match=rf'labelmap\.txt: .*{reason}'):
        LabelFolder(tmp_path, 'train', field, mapping)


def test_a_mapping_with_values_needs_no_label_map(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_labels(tmp_path / 'labels' / 'train' / 'a.png')
    (tmp_path / 'labelmap.txt').write_text('of another program', 'utf-8')
    labels = LabelFolder(tmp_path, 'train', field, mapping)[0].labels
    assert labels is not None
    assert labels[1, 1] == field.node('soil').id


# Boxes in CSV

HEADER = 'image,left,top,right,bottom,class\n'


def write_table(root: Path, rows: str, split: str = 'train', header: str = HEADER) -> None:
    (root / f'{split}.csv').write_text(header + rows, encoding='utf-8')


def test_boxes_come_from_the_table(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    for name in ('a.jpg', 'sub/b.png', 'empty.ppm'):
        write_image(tmp_path / 'images' / 'train' / name)
    write_table(
        tmp_path,
        'a.jpg,1,2,11.5,12,maize\nsub/b,0,0,4,3,earth\na.jpg, 3,4,9,8, green\na,0,0,2,2,nothing\n',
    )
    dataset = BoxTable(tmp_path, 'train', field, mapping)
    assert [dataset.image_path(i).name for i in range(len(dataset))] == [
        'a.jpg',
        'empty.ppm',
        'b.png',
    ]
    first, second = dataset.boxes(0)
    assert (first.left, first.top, first.right, first.bottom) == (1, 2, 11.5, 12)
    assert (first.node_id, first.shape) == (21, 'circle')
    assert (second.node_id, second.shape) == (20, 'rectangle')
    assert dataset.boxes(1) == (), 'an image without a row has no box'
    assert [box.node_id for box in dataset.boxes(2)] == [10]
    sample = dataset[0]
    assert sample.labels is None
    assert sample.boxes == dataset.boxes(0)
    assert sample.image.size == SIZE
    assert not dataset.complete_boxes


def test_the_mapping_says_that_boxes_are_complete(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_table(tmp_path, 'a,0,0,4,3,earth\n')
    mapping.write_text(mapping.read_text(encoding='utf-8') + 'complete_boxes: true\n', 'utf-8')
    assert BoxTable(tmp_path, 'train', field, mapping).complete_boxes


def test_one_image_folder_serves_all_tables(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    for name in 'abcd':
        write_image(tmp_path / 'images' / f'{name}.jpg')
    write_table(tmp_path, 'a.jpg,1,2,3,4,maize\nc.jpg,,,,,\n')
    write_table(tmp_path, 'b.jpg,1,2,3,4,maize\n', 'val')
    for split, expected in (('train', ['a.jpg', 'c.jpg']), ('val', ['b.jpg'])):
        dataset = BoxTable(tmp_path, split, field, mapping)
        assert [dataset.image_path(i).name for i in range(len(dataset))] == expected
    assert BoxTable(tmp_path, 'train', field, mapping).boxes(1) == ()
    # With a list, images that the table does not name are known to have no box.
    (tmp_path / 'val.txt').write_text('b\nd\n', encoding='utf-8')
    assert len(BoxTable(tmp_path, 'val', field, mapping)) == 2


@pytest.mark.parametrize(
    ('header', 'rows', 'reason'),
    [
        ('image,x,y,w,h,class\n', 'a,1,2,3,4,maize\n', r"header is 'image,x,y,w,h,class'; it must"),
        (HEADER, 'a,1,2,3,4,maise\n', r"has the class 'maise', which field\.yaml.*'maize'"),
        (HEADER, 'a,1,2,3,4,maize\nb,1,2,3,4,maize\n', r"line 3: there is no image 'b'"),
        (HEADER, 'a,1,2,3,4,maize,5\n', r'line 2: must have the 6 fields'),
        (HEADER, ',1,2,3,4,maize\n', r'line 2: must have the 6 fields'),
        (HEADER, 'a,1,2,x,4,maize\n', r"line 2: could not convert string to float: 'x'"),
        (HEADER, 'a,1,,3,4,maize\n', r'line 2: could not convert'),
        (HEADER, 'a,1,2,3,4,\n', r'line 2: has no class'),
        (HEADER, 'a,3,2,3,4,maize\n', r'line 2: the box 3, 2, 3, 4 is empty'),
        (HEADER, 'a,1,2,nan,4,maize\n', r'line 2: the box 1, 2, nan, 4 is empty'),
        (HEADER, 'a,-inf,2,3,4,maize\n', r'line 2: the box -inf, 2, 3, 4 is empty'),
    ],
)
def test_a_wrong_table_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path, header: str, rows: str, reason: str
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_table(tmp_path, rows, header=header)
    with pytest.raises(HierSegError, match=rf'train\.csv: .*{reason}') as raised:
        BoxTable(tmp_path, 'train', field, mapping)
    assert '\n' not in str(raised.value)


def test_boxes_of_another_image_size_are_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    write_image(tmp_path / 'images' / 'train' / 'a.jpg')
    write_table(tmp_path, 'a,1,16,3,20,maize\n')
    with pytest.raises(HierSegError, match=r'a\.jpg: the box 1, 16, 3, 20 lies outside its 24x16'):
        BoxTable(tmp_path, 'train', field, mapping)[0]


# Boxes in COCO's JSON


def coco() -> dict[str, Any]:
    return {
        'images': [
            {'id': 7, 'file_name': 'a.jpg', 'width': SIZE[0], 'height': SIZE[1]},
            {'id': 3, 'file_name': 'sub/b.jpg'},
            {'id': 9, 'file_name': 'crowd.jpg', 'width': SIZE[0], 'height': SIZE[1]},
        ],
        'categories': [
            {'id': 90, 'name': 'maize'},
            {'id': 1, 'name': 'green'},
            {'id': 2, 'name': 'nothing'},
        ],
        'annotations': [
            {'id': 1, 'image_id': 7, 'category_id': 90, 'bbox': [1.5, 2, 10, 4], 'iscrowd': 0},
            {'id': 2, 'image_id': 9, 'category_id': 1, 'bbox': [0, 0, 20, 10], 'iscrowd': 1},
            {'id': 3, 'image_id': 7, 'category_id': 1, 'bbox': [4, 5, 6, 7]},
            {'id': 4, 'image_id': 7, 'category_id': 2, 'bbox': [4, 5, 6, 7]},
            {'id': 5, 'image_id': 7, 'category_id': 1, 'bbox': [4, 5, 0, 7]},
            {'id': 6, 'image_id': 9, 'category_id': 90, 'bbox': [1, 1, 2, 2]},
        ],
    }


def write_coco(root: Path, content: Any, name: str = 'annotations/train.json') -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding='utf-8')


@pytest.mark.parametrize(
    ('annotations', 'images'),
    [
        ('annotations/train.json', 'images/train'),
        ('annotations/instances_train.json', 'train'),
        ('train.json', 'images'),
    ],
)
def test_coco_boxes_are_read(
    tmp_path: Path, field: Hierarchy, mapping: Path, annotations: str, images: str
) -> None:
    write_coco(tmp_path, coco(), annotations)
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / images / name)
    dataset = CocoBoxes(tmp_path, 'train', field, mapping)
    names = [str(dataset.image_path(i).relative_to(tmp_path / images)) for i in range(len(dataset))]
    assert names == ['a.jpg', 'sub/b.jpg', 'crowd.jpg']
    first, second = dataset.boxes(0)
    assert (first.left, first.top, first.right, first.bottom) == (1.5, 2, 11.5, 6)
    assert (first.node_id, first.shape) == (21, 'circle')
    assert (second.left, second.top, second.right, second.bottom) == (4, 5, 10, 12)
    assert (second.node_id, second.shape) == (20, 'rectangle')
    assert dataset.boxes(1) == ()
    assert [box.right for box in dataset.boxes(2)] == [3], 'a crowd is no object'
    assert dataset[0].image.size == SIZE


def roboflow() -> dict[str, Any]:
    """Return a file as Roboflow writes it: the first category heads the others."""
    heads = {'id': 0, 'name': 'plants', 'supercategory': 'none'}
    content = coco()
    for entry in content['categories']:
        entry['supercategory'] = 'plants'
    return content | {'categories': [heads, *content['categories']]}


def test_the_layout_of_roboflow_is_read(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    write_coco(tmp_path, roboflow(), 'train/_annotations.coco.json')
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / 'train' / name)
    dataset = CocoBoxes(tmp_path, 'train', field, mapping)
    assert [len(dataset.boxes(index)) for index in range(3)] == [2, 0, 1]


def test_names_of_windows_are_read(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    content = coco()
    for image in content['images']:
        image['file_name'] = image['file_name'].replace('/', '\\')
        write_image(tmp_path / 'images' / 'train' / image['file_name'].replace('\\', '/'))
    assert any('\\' in image['file_name'] for image in content['images'])
    write_coco(tmp_path, content)
    assert len(CocoBoxes(tmp_path, 'train', field, mapping)) == len(content['images'])


def test_only_a_category_that_nothing_has_and_that_heads_others_may_be_unknown(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / 'images' / name)
    annotated, alone, itself = roboflow(), roboflow(), roboflow()
    annotated['annotations'][0]['category_id'] = 0
    for entry in alone['categories']:
        entry['supercategory'] = 'none'
    for entry in itself['categories']:
        entry['supercategory'] = entry['name']
    for content in (annotated, alone, itself):
        write_coco(tmp_path, content)
        with pytest.raises(HierSegError, match=r"has the class 'plants', which field\.yaml"):
            CocoBoxes(tmp_path, 'train', field, mapping)


def test_with_complete_boxes_an_image_with_a_crowd_is_left_out(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    write_coco(tmp_path, coco())
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / 'images' / 'train' / name)
    mapping.write_text(mapping.read_text(encoding='utf-8') + 'complete_boxes: true\n', 'utf-8')
    dataset = CocoBoxes(tmp_path, 'train', field, mapping)
    assert [dataset.image_path(i).name for i in range(len(dataset))] == ['a.jpg', 'b.jpg']


def test_an_image_of_another_size_than_coco_says_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    content = coco()
    content['images'][0]['width'] = 48
    write_coco(tmp_path, content)
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / 'images' / name)
    dataset = CocoBoxes(tmp_path, 'train', field, mapping)
    with pytest.raises(HierSegError, match=r'a\.jpg: is 24x16, its boxes are for .* 48x16'):
        dataset[0]
    assert dataset[1].image.size == SIZE


def test_missing_coco_images_are_refused(tmp_path: Path, field: Hierarchy, mapping: Path) -> None:
    write_coco(tmp_path, coco())
    with pytest.raises(
        HierSegError, match=r'train/a\.jpg: is missing, and no image of train\.json'
    ):
        CocoBoxes(tmp_path, 'train', field, mapping)
    write_image(tmp_path / 'images' / 'a.jpg')
    with pytest.raises(HierSegError, match=r'images/sub/b\.jpg: is missing.*\(and 1 more;'):
        CocoBoxes(tmp_path, 'train', field, mapping)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'categories': [{'id': 1, 'name': 'tree'}]}, r"has the class 'tree', which field\.yaml"),
        ({'categories': [{'id': 1, 'name': 'green'}]}, r'annotation 1: .*no category 90'),
        (
            {'images': [{'id': 7, 'file_name': 'a.jpg'}]},
            r'annotation 2: there is no image 9',
        ),
        (
            {'images': [{'id': 7, 'file_name': 'a.jpg'}, {'id': 8, 'file_name': 'a.jpg'}]},
            r'lists an image or its id twice',
        ),
        ({'images': []}, r'lists no image'),
        (
            {'annotations': [{'image_id': 7, 'category_id': 90, 'bbox': [1, 1, -2, 2]}]},
            r'annotation 0: the box \[1, 1, -2, 2\] is not left, top, width, height',
        ),
        (
            {'annotations': [{'image_id': 7, 'category_id': 90, 'bbox': [1, 1, 2]}]},
            r'annotation 0: the box \[1, 1, 2\] is not',
        ),
        ({'annotations': [{'image_id': 7, 'category_id': 90}]}, r'annotation 0: the box None'),
        ({'annotations': [7]}, r'is no COCO file'),
        ({'annotations': 5}, r'is no COCO file'),
        ({'images': [{'id': 7}]}, r'image 7: needs an id, a file_name'),
        ({'images': [{'file_name': 'a.jpg'}]}, r'image 0: needs an id'),
        (
            {'images': [{'id': 7, 'file_name': 'a.jpg', 'width': 'w', 'height': 1}]},
            r'image 7: needs .* whole width and height',
        ),
    ],
)
def test_a_wrong_coco_file_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path, change: dict[str, Any], reason: str
) -> None:
    write_coco(tmp_path, coco() | change)
    for name in ('a.jpg', 'sub/b.jpg', 'crowd.jpg'):
        write_image(tmp_path / 'images' / name)
    with pytest.raises(HierSegError, match=rf'train\.json: .*{reason}') as raised:
        CocoBoxes(tmp_path, 'train', field, mapping)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '"images"'])
def test_a_file_that_is_no_coco_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path, text: str
) -> None:
    (tmp_path / 'train.json').write_text(text, encoding='utf-8')
    with pytest.raises(HierSegError, match=r'train\.json: (is not valid JSON|is no COCO file)'):
        CocoBoxes(tmp_path, 'train', field, mapping)


# Masks in COCO's JSON


def masks(**by_id: Any) -> dict[str, Any]:
    """Return a file of one image with the given segmentations of maize (b: of green)."""
    return {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': SIZE[0], 'height': SIZE[1]}],
        'categories': [{'id': 90, 'name': 'maize'}, {'id': 1, 'name': 'green'}],
        'annotations': [
            {
                'id': key,
                'image_id': 1,
                'category_id': 1 if key == 'b' else 90,
                'segmentation': value,
            }
            for key, value in by_id.items()
        ],
    }


def open_masks(root: Path, tree: Hierarchy, mapping: Path, content: Any) -> CocoMasks:
    write_coco(root, content)
    write_image(root / 'images' / 'a.jpg')
    return CocoMasks(root, 'train', tree, mapping)


def test_polygons_and_run_lengths_cover_one_another_in_their_order(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    size = [SIZE[1], SIZE[0]]
    content = masks(
        a=[[0, 8, 24, 8, 24, 16, 0, 16], [20, 0, 23, 0, 23, 3, 20, 3]],
        # Two columns of 16 pixels, then all but the last pixel of the image outside.
        b={'size': size, 'counts': [32, 32, 319, 1]},
        # 3-11, 5-19 without 6-7, 9-11, as COCO's own program writes it.
        c={'size': size, 'counts': 'c297000000JK15OK15OK15500000000000000m1'},
    )
    dataset = open_masks(tmp_path, field, mapping, content)
    assert dataset.supervision == 'pixels'
    assert dataset.label_path(0) is None
    assert dataset.instances(0) is None
    assert not dataset.complete_boxes
    expected = np.full((SIZE[1], SIZE[0]), UNLABELLED, np.uint8)
    maize, green = field.node('plant--crop').id, field.node('plant').id
    expected[8:] = maize
    expected[:4, 20:24] = maize
    expected[:, 2:4] = green
    expected[15, 23] = green
    blob = np.zeros(expected.shape, bool)
    blob[3:12, 5:20] = True
    blob[6:8, 9:12] = False
    expected[blob] = maize
    np.testing.assert_array_equal(dataset[0].labels, expected)


@pytest.mark.parametrize(
    'segmentation',
    [
        None,
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [1, 2, 3, 4, 5, 6],
        {'size': [16, 24], 'counts': [384, 1]},
        {'size': [16, 24], 'counts': [400, -16]},
        {'size': [16, 24], 'counts': [384.0]},
        {'size': [24, 16], 'counts': [384]},
        {'counts': [384]},
        {'size': [16, 24], 'counts': 'c29700000'},
        {'size': [16, 24], 'counts': 'P' * 50},
        {'size': [16, 24], 'counts': 'o' * 50},
        {'size': [16, 24], 'counts': '\u00ff'},
    ],
    ids=str,
)
def test_a_wrong_segmentation_is_refused(
    tmp_path: Path, field: Hierarchy, mapping: Path, segmentation: Any
) -> None:
    with pytest.raises(
        HierSegError, match=r"train\.json: annotation 'a': its segmentation is neither polygons nor"
    ):
        open_masks(tmp_path, field, mapping, masks(a=segmentation))


def test_masks_need_the_size_of_their_image(
    tmp_path: Path, field: Hierarchy, mapping: Path
) -> None:
    content = masks(a=[[0, 8, 24, 8, 24, 16]])
    del content['images'][0]['width']
    with pytest.raises(HierSegError, match=r'a\.jpg: train\.json must give its width and height'):
        open_masks(tmp_path, field, mapping, content)
    content['images'][0]['width'] = SIZE[0] + 1
    with pytest.raises(HierSegError, match=r'train\.json: is 25x16, its image 24x16; .*a\.jpg'):
        open_masks(tmp_path, field, mapping, content)[0]


# What COCO's own program makes of masks: (height, width), the text, rows of the mask.
NOISE = [
    [0, 0, 1, 1, 0, 0, 0],
    [0, 1, 0, 0, 1, 0, 1],
    [1, 1, 0, 1, 1, 0, 0],
    [1, 0, 0, 1, 1, 0, 1],
    [0, 1, 0, 0, 1, 1, 0],
]


def test_run_lengths_are_those_of_cocos_own_program() -> None:
    def decoded(text: str, height: int, width: int) -> Any:
        lengths = read_runs(text, height * width)
        assert lengths is not None
        canvas = Image.new('L', (width, height))
        Runs('a', lengths).draw(canvas, 1)
        return np.asarray(canvas)

    assert decoded('2220O03OM1122MM0000', 5, 7).tolist() == NOISE
    assert decoded('0T1', 9, 4).all()
    assert not decoded('<', 4, 3).any()
    text = 'i`07n06K4L4M2N2N2N2O0O2O0O2O000O2O000000000001N10001N101N101N2N2N2N3L4L5Jb>'
    rows, columns = np.mgrid[:40, :60]
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 < 300
    np.testing.assert_array_equal(decoded(text, 40, 60), disc)
