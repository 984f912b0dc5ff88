# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.commands.input_files import find_files
from hier_seg_ros.commands.segment_images import main
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import Segmenter


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (48, 40)) -> np.ndarray:
    rgb = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return rgb


def names(inputs: list[Path]) -> dict[str, str]:
    """Return the outputs' names by file name."""
    found = find_files(inputs)
    assert found.errors == []
    return {file.path.name: file.name.as_posix() for file in found.files}


def test_labels_are_those_of_the_segmenter(
    tmp_path: Path, untrained_model: Path, street_tree: Hierarchy
) -> None:
    rgb = write_image(tmp_path / 'in' / 'street.png')
    out = tmp_path / 'out'
    arguments = ['--model', str(untrained_model), '--device', 'cpu', '--confidence']
    assert main([str(tmp_path / 'in' / 'street.png'), '--out', str(out), *arguments]) == 0
    (result,) = Segmenter.load(untrained_model, 'cpu').segment([rgb])
    for level in (1, 2, 3):
        with Image.open(out / f'level_{level}' / 'street.png') as image:
            assert image.mode == 'L'
            np.testing.assert_array_equal(np.asarray(image), result.level(level))
    with Image.open(out / 'confidence' / 'street.png') as image:
        np.testing.assert_array_equal(np.asarray(image), result.confidence)
    with Image.open(out / 'overlay' / 'street.png') as image:
        assert np.asarray(image).shape == rgb.shape
    content = json.loads((out / 'classes.json').read_text())
    assert content['unlabelled'] == UNLABELLED and len(content['classes']) == len(street_tree.nodes)
    for node in street_tree.nodes:
        entry = content['classes'][str(node.id)]
        assert (entry['name'], tuple(entry['color'])) == (node.name, node.color)


def test_folders_are_searched_in_order_and_keep_their_structure(
    tmp_path: Path, untrained_model: Path
) -> None:
    folder = tmp_path / 'in'
    write_image(folder / 'b.png')
    write_image(folder / 'a.jpg')
    write_image(folder / 'night' / 'a.PNG')
    (folder / 'notes.txt').write_text('no image')
    files = find_files([folder]).files
    assert [file.name.as_posix() for file in files] == ['a', 'b', 'night/a']
    out = tmp_path / 'out'
    arguments = ['--model', str(untrained_model), '--levels', '3,1']
    assert main([str(folder), '--out', str(out), *arguments]) == 0
    assert (out / 'level_1' / 'night' / 'a.png').is_file()
    assert (out / 'level_3' / 'b.png').is_file()
    assert not (out / 'level_2').exists() and not (out / 'confidence').exists()


def test_outputs_of_an_earlier_run_are_no_inputs(tmp_path: Path, untrained_model: Path) -> None:
    write_image(tmp_path / 'a.png')
    arguments = [str(tmp_path), '--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert [path.name for path in (tmp_path / 'out' / 'overlay').rglob('*')] == ['a.png']


def test_inputs_of_the_same_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for name in ('a.png', 'a.jpg', 'b.png'):
        write_image(tmp_path / name)
    assert names([tmp_path]) == {'a.png': 'a_png', 'a.jpg': 'a_jpg', 'b.png': 'b'}
    for folder in ('left', 'right'):
        write_image(tmp_path / folder / 'a.png')
    inputs = [tmp_path / folder / 'a.png' for folder in ('left', 'right')]
    files = find_files(inputs).files
    assert [file.name.as_posix() for file in files] == ['a_png', 'a_png_2']


def test_file_that_is_no_image_is_named_and_the_others_go_on(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_text('not an image')
    write_image(tmp_path / 'c.png')
    (tmp_path / 'd.png').write_bytes((tmp_path / 'c.png').read_bytes()[:200])
    out = tmp_path / 'out'
    inputs = [str(tmp_path / name) for name in ('a.png', 'b.png', 'c.png', 'd.png', 'e.png')]
    assert main([*inputs, '--out', str(out), '--model', str(untrained_model)]) == 1
    captured = capsys.readouterr()
    assert '2 images segmented' in captured.out
    lines = [line for line in captured.err.splitlines() if line.startswith('segment_images:')]
    assert len(lines) == 4
    for name in ('b.png', 'd.png', 'e.png'):
        assert sum(str(tmp_path / name) in line for line in lines) == 1
    assert lines[-1] == 'segment_images: 3 inputs could not be segmented'
    written = sorted(path.name for path in (out / 'overlay').iterdir())
    assert written == ['a.png', 'c.png']


def test_folder_without_images_is_named(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / 'empty'
    empty.mkdir()
    arguments = ['--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main([str(empty), *arguments]) == 1
    assert 'no image or video there' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--alpha', '1.5'], '--alpha'),
        (['--levels', '4'], 'there is no level 4'),
        (['--min-confidence', '-1'], 'min_confidence'),
        (['--forbidden-classes', 'Unicorn'], 'Unicorn'),
        (['--device', 'toaster'], 'toaster'),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    tmp_path: Path,
    untrained_model: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    reason: str,
) -> None:
    write_image(tmp_path / 'a.png')
    common = [str(tmp_path / 'a.png'), '--out', str(tmp_path / 'out')]
    assert main([*common, '--model', str(untrained_model), *arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert reason in error and '\n' not in error
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('levels', ['0', 'one', '1,,2', ''])
def test_levels_that_are_none_are_a_usage_error(tmp_path: Path, levels: str) -> None:
    with pytest.raises(SystemExit) as error:
        main([str(tmp_path), '--out', str(tmp_path / 'out'), '--levels', levels])
    assert error.value.code == 2


def test_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / 'a.png')
    arguments = ['--out', str(tmp_path / 'out'), '--model', str(tmp_path / 'no_model')]
    assert main([str(tmp_path / 'a.png'), *arguments]) == 1
    assert 'no_model' in capsys.readouterr().err


def test_output_folder_that_is_a_file_is_named(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / 'a.png')
    (tmp_path / 'out').write_text('a file')
    arguments = ['--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main([str(tmp_path / 'a.png'), *arguments]) == 1
    assert 'cannot be written' in capsys.readouterr().err


def test_every_frame_of_a_video_is_segmented(tmp_path: Path, untrained_model: Path) -> None:
    cv2 = pytest.importorskip('cv2', reason='OpenCV is not installed')
    video = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48))
    if not writer.isOpened():
        pytest.skip('this OpenCV cannot write MJPG')
    for value in (50, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    out = tmp_path / 'out'
    assert main([str(video), '--out', str(out), '--model', str(untrained_model)]) == 0
    written = sorted(path.relative_to(out).as_posix() for path in (out / 'level_1').rglob('*.png'))
    assert written == [f'level_1/drive/{number:06}.png' for number in range(3)]


def test_broken_video_is_named(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('cv2', reason='OpenCV is not installed')
    video = tmp_path / 'drive.mp4'
    video.write_text('no video')
    arguments = ['--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main([str(video), *arguments]) == 1
    assert f'{video}: is no video' in capsys.readouterr().err


def test_video_without_opencv_says_what_to_install(
    tmp_path: Path,
    untrained_model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = builtins.__import__

    def without_opencv(name: str, *arguments: Any, **options: Any) -> Any:
        if name == 'cv2':
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, '__import__', without_opencv)
    video = tmp_path / 'drive.mp4'
    video.touch()
    arguments = ['--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main([str(video), *arguments]) == 1
    assert 'pip install opencv-python-headless' in capsys.readouterr().err
