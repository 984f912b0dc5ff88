# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which files `segment_images` takes, what it calls its outputs and what it says about the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hier_seg_ros.commands.input_files import Inputs, find_files
from hier_seg_ros.errors import HierSegError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def outputs(inputs: Inputs) -> list[str]:
    """Return the files and folders that the outputs will be, as the disks of macOS see them."""
    return [
        (file.name.as_posix() + ('/' if file.is_video else '.png')).casefold()
        for file in inputs.files
    ]


@pytest.mark.parametrize(
    'names',
    [
        ('v.mp4', 'v/000000.jpg'),
        ('v.mp4', 'v.avi', 'v.jpg', 'v/000001.jpg', 'v_mp4/000000.jpg'),
        ('V.mp4', 'v/000000.jpg'),
        ('a.jpg', 'a.png', 'a_png.bmp', 'a_jpg.bmp'),
        ('A.jpg', 'a.jpg', 'a.png', 'b/A.jpg', 'B/a.jpg'),
        ('A.jpg', 'a.jpeg', 'a_jpg_2.png', 'a_jpg.png', 'A_JPG.webp'),
        ('x_000000.png', 'x.avi'),
        ('a.jpg', 'a.png/b.jpg', 'A.png/B.jpg'),
        ('a.png.mp4', 'a.jpg'),
        ('stra\u00dfe.jpg', 'STRASSE.jpg', 'caf\u00e9.jpg', 'cafe\u0301.jpg'),
    ],
)
def test_every_input_has_its_own_output(tmp_path: Path, names: tuple[str, ...]) -> None:
    inputs = find_files([touch(tmp_path, *names)])
    assert {str(file.path.relative_to(tmp_path)) for file in inputs.files} == set(names)
    found = outputs(inputs)
    assert len(set(found)) == len(names)
    # A video's folder holds nothing but its frames, and no file is where a folder must be.
    for one in found:
        for other in found:
            assert one == other or not other.startswith(f'{one.rstrip("/")}/')


def test_what_needs_no_other_name_has_that_of_its_input(tmp_path: Path) -> None:
    touch(tmp_path, 'x_000000.png', 'x.avi', 'v.mp4', 'w/000000.jpg', 'w.jpg')
    assert outputs(find_files([tmp_path])) == ['v/', 'w/000000.png', 'w.png', 'x/', 'x_000000.png']


def test_a_video_beside_a_folder_of_its_name_keeps_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, 'v.mp4', 'v/000000.jpg')
    assert outputs(find_files([tmp_path])) == ['v/000000.png', 'v_mp4/']


def test_hidden_files_and_what_is_no_picture_are_left_out_silently(tmp_path: Path) -> None:
    touch(tmp_path, 'photo.jpg', '._photo.jpg', '.DS_Store', 'Thumbs.db', 'notes.txt')
    touch(tmp_path, '.thumbnails/photo.jpg', 'photo.jpg.xmp', '.photo.heic')
    inputs = find_files([tmp_path])
    assert [file.path.name for file in inputs.files] == ['photo.jpg']
    assert inputs.errors == [] and inputs.left_out == []


def test_pictures_in_other_formats_are_left_out_by_name(tmp_path: Path) -> None:
    suffixes = [
        'gif', 'avif', 'jp2', 'jxl', 'cr2', 'nef', 'dng', 'svg', 'pdf', 'hif', 'ico', 'raw', 'ts',
        'ogv', 'j2c', 'pef',
    ]  # fmt: skip
    touch(tmp_path, 'a.jpg', 'photo.HEIC', 'more/b.heic', 'c.heic', *(f'd.{s}' for s in suffixes))
    inputs = find_files([tmp_path])
    assert [file.path.name for file in inputs.files] == ['a.jpg'] and inputs.errors == []
    assert len(inputs.left_out) == 1 + len(suffixes)
    (line,) = [line for line in inputs.left_out if '.heic' in line]
    assert line.startswith(f'3 .heic files left out, the first: {tmp_path / "c.heic"}: ')
    for suffix in suffixes:
        start = f'1 .{suffix} file left out, the first: {tmp_path / "d"}.{suffix}: this format is'
        assert sum(line.startswith(start) for line in inputs.left_out) == 1


def test_folders_that_are_named_like_images_are_folders(tmp_path: Path) -> None:
    touch(tmp_path, 'x.jpg/a.jpg')
    assert outputs(find_files([tmp_path])) == ['x.jpg/a.png']
    assert outputs(find_files([tmp_path / 'x.jpg'])) == ['a.png']


def test_links_lead_nowhere_twice(tmp_path: Path) -> None:
    touch(tmp_path, 'in/a.jpg', 'in/b/c.jpg')
    (tmp_path / 'in' / 'b' / 'back.jpg').symlink_to(tmp_path / 'in')
    (tmp_path / 'in' / 'circle.png').symlink_to('circle.png')
    (tmp_path / 'in' / 'd.jpg').symlink_to('a.jpg')
    inputs = find_files([tmp_path / 'in'])
    # What leads nowhere is named when it is read.
    assert [file.path.name for file in inputs.files] == ['a.jpg', 'c.jpg', 'circle.png', 'd.jpg']
    (line,) = inputs.left_out
    back = tmp_path / 'in' / 'b' / 'back.jpg'
    assert line.startswith(f'1 linked folder left out, the first: {back}: links are not followed')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_folders_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    touch(tmp_path, 'a.jpg', 'closed/b.jpg')
    (tmp_path / 'closed').chmod(0)
    try:
        inputs = find_files([tmp_path])
    finally:
        (tmp_path / 'closed').chmod(0o700)
    assert [file.path.name for file in inputs.files] == ['a.jpg']
    assert [str(error) for error in inputs.errors] == [
        f'{tmp_path / "closed"}: cannot be read (Permission denied); check the rights'
    ]


@pytest.mark.parametrize('way', ['{0}', '{0}/.', '{0}/../in', 'link', '{0}/a.jpg'])
def test_results_do_not_go_where_the_inputs_are(tmp_path: Path, way: str) -> None:
    folder = touch(tmp_path / 'in', 'a.jpg')
    (tmp_path / 'link').symlink_to(folder)
    out = tmp_path / way.format(folder)
    given = out if out.name == 'a.jpg' else folder
    with pytest.raises(HierSegError, match=r'^--out: .* is an input, too; choose another folder'):
        find_files([given], out)


def test_results_of_an_earlier_run_are_left_out_wherever_they_are(tmp_path: Path) -> None:
    folder = touch(tmp_path / 'in', 'a.jpg', 'out/overlay/a.png', 'outer/b.jpg')
    for out in (folder / 'out', folder / 'outer' / '..' / 'out'):
        assert outputs(find_files([folder], out)) == ['a.png', 'outer/b.png']
    # The folder above takes the results beside its inputs, which are no results.
    assert len(find_files([folder], tmp_path).files) == 3
    circle = tmp_path / 'circle'
    circle.symlink_to('circle')
    assert len(find_files([folder], circle).files) == 3


def test_inputs_with_nothing_to_segment_are_named(tmp_path: Path) -> None:
    touch(tmp_path, 'in/a.jpg', 'texts/a.txt')
    (tmp_path / 'empty').mkdir()
    absent, long = tmp_path / 'absent.jpg', tmp_path / ('a' * 300)
    inputs = find_files([tmp_path / 'in', tmp_path / 'texts', tmp_path / 'empty', absent, long])
    assert [str(error).partition(';')[0] for error in inputs.errors] == [
        f'{tmp_path / "texts"}: no image or video there',
        f'{tmp_path / "empty"}: no image or video there',
        f'{absent}: does not exist',
        f'{long}: does not exist',
    ]
