# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`segment_images` on inputs of every kind: what is written, what is said, and the exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import damaged

from hier_seg_ros.commands.segment_images import main

Capture = pytest.CaptureFixture[str]


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8))


def write_images(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(folder / name)
    return folder


def run(model: Path, out: Path, *arguments: str | Path) -> int:
    common = ['--model', str(model), '--device', 'cpu', '--levels', '1']
    return main([*map(str, arguments), '--out', str(out), *common])


def written(out: Path) -> list[str]:
    """Return the files of one output, which there are as many of as images segmented."""
    files = sorted(path for path in (out / 'level_1').rglob('*') if path.is_file())
    return [path.relative_to(out / 'level_1').as_posix() for path in files]


def said(capture: Capture) -> tuple[str, list[str]]:
    """Return what is on stdout, and the lines on stderr without the progress."""
    captured = capture.readouterr()
    assert 'Traceback' not in captured.err
    lines = captured.err.splitlines()
    return captured.out, [line for line in lines if line.startswith('segment_images: ')]


def write_video(path: Path, frames: int) -> None:
    cv2 = pytest.importorskip('cv2', reason='OpenCV is not installed')
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (32, 24))
    if not writer.isOpened():
        pytest.skip('this OpenCV cannot write MJPG')
    for seed in range(frames):
        writer.write(np.asarray(picture(seed)))
    writer.release()


def test_frames_of_a_video_that_ends_early_are_written_and_the_others_counted(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    video, out = tmp_path / 'drive.avi', tmp_path / 'out'
    write_video(video, 60)
    data = video.read_bytes()
    begin, end = data.index(b'movi'), data.index(b'idx1')
    video.write_bytes(data[: (begin + end) // 2])
    assert run(untrained_model, out, video) == 1
    frames = written(out)
    assert frames == [f'drive/{number:06}.png' for number in range(len(frames))]
    assert 20 < len(frames) < 40
    text, lines = said(capsys)
    assert text == f'{len(frames)} images segmented into {out}\n'
    assert lines[0].startswith(f'segment_images: {video}: {len(frames)} of 60 frames can be read')
    assert lines[1:] == ['segment_images: 1 input could not be segmented']


def test_what_is_left_out_is_no_failure(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    folder = write_images(tmp_path / 'in', 'a.jpg')
    for name in ('photo.HEIC', '._a.jpg', '.DS_Store', 'Thumbs.db'):
        (folder / name).write_bytes(b'\0\5\26\7')
    assert run(untrained_model, tmp_path / 'out', folder) == 0
    text, (line,) = said(capsys)
    assert text.startswith('1 images segmented') and written(tmp_path / 'out') == ['a.png']
    assert line.startswith('segment_images: 1 .heic file left out, the first: ')


def test_as_many_files_are_written_as_images_segmented(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    names = ('v/000000.jpg', 'a.jpg', 'a.png', 'A.jpg', 'x_000000.png', 'a_png.png')
    folder = write_images(tmp_path / 'in', *names)
    write_video(folder / 'v.avi', 3)
    write_video(folder / 'x.avi', 3)
    assert run(untrained_model, tmp_path / 'out', folder, folder / 'a.jpg') == 0
    files = written(tmp_path / 'out')
    assert said(capsys)[0] == f'{len(files)} images segmented into {tmp_path / "out"}\n'
    assert len({name.casefold() for name in files}) == len(files) == len(names) + 3 + 3 + 1


def test_one_line_where_there_is_nothing_to_segment(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'heic').mkdir()
    for name, reason in (
        ('empty', 'no image or video there; looked for'),
        ('notes.txt', 'is neither JPEG nor PNG'),
        ('absent.jpg', 'does not exist; check the path'),
        ('a' * 300, 'does not exist; check the path'),
        ('heic', 'no image or video there; looked for'),
    ):
        assert run(untrained_model, tmp_path / 'out', tmp_path / name) == 1
        text, (line,) = said(capsys)
        assert line.startswith(f'segment_images: {tmp_path / name}: {reason}') and text == ''


def test_what_is_no_regular_file_is_named_and_the_others_are_segmented(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    folder = write_images(tmp_path / 'in', 'a.png', 'x.jpg/b.png')
    os.mkfifo(folder / 'pipe.jpg')
    os.mkfifo(folder / 'pipe.mp4')
    (folder / 'circle.jpg').symlink_to('circle.jpg')
    (folder / 'above').symlink_to(tmp_path)
    assert run(untrained_model, tmp_path / 'out', folder, '/dev/zero') == 1
    assert written(tmp_path / 'out') == ['a.png', 'x.jpg/b.png']
    _, lines = said(capsys)
    for name in ('pipe.jpg', 'pipe.mp4', 'circle.jpg'):
        assert sum(f'{folder / name}: cannot be read (' in line for line in lines) == 1
    assert any('/dev/zero: cannot be read (it is no regular file)' in line for line in lines)
    assert any('1 linked folder left out' in line for line in lines)
    assert lines[-1] == 'segment_images: 4 inputs could not be segmented' and len(lines) == 6


@pytest.mark.parametrize(
    ('out', 'reason'),
    [('in', '--out: '), ('in/a.png', 'cannot be written'), ('pipe', 'cannot be written')],
)
def test_places_for_results_that_are_none(
    tmp_path: Path, untrained_model: Path, capsys: Capture, out: str, reason: str
) -> None:
    folder = write_images(tmp_path / 'in', 'a.png')
    os.mkfifo(tmp_path / 'pipe')
    assert run(untrained_model, tmp_path / out, folder) == 1
    text, (line,) = said(capsys)
    assert reason in line and 'choose another folder' in line and text == ''
    assert [path.name for path in folder.rglob('*')] == ['a.png']


def test_damaged_files_never_stop_the_others(
    tmp_path: Path, untrained_model: Path, capsys: Capture
) -> None:
    tags = Image.Exif()
    tags[0x112], tags[0x11A], tags[0x131] = 6, 72.0, 'program'
    whole = []
    for name in ('JPEG', 'PNG', 'TIFF', 'WEBP', 'BMP', 'PPM'):
        buffer = io.BytesIO()
        options = {} if name in ('BMP', 'PPM') else {'exif': tags}
        picture().save(buffer, name, **options)
        whole.append(buffer.getvalue())
    folder, out = tmp_path / 'in', tmp_path / 'out'
    folder.mkdir()
    for seed in range(300):
        data = damaged(whole[seed // 6 % len(whole)], seed)
        (folder / f'{seed:03}.jpg').write_bytes(data)
    write_images(folder, 'whole.png')
    assert run(untrained_model, out, folder) == 1
    files = written(out)
    text, lines = said(capsys)
    assert text == f'{len(files)} images segmented into {out}\n'
    assert lines[-1] == f'segment_images: {301 - len(files)} inputs could not be segmented'
    assert len(lines) - 1 == 301 - len(files) and 50 < len(files) < 251
    assert files[-1] == 'whole.png'
    # Every file is either segmented or named.
    named = {line.split(': ')[1] for line in lines[:-1]}
    segmented = {str(folder / f'{Path(name).stem}.jpg') for name in files[:-1]}
    assert not named & segmented and len(named | segmented) == 300


def test_nothing_but_the_lines_of_the_command_is_said(
    tmp_path: Path, untrained_model: Path
) -> None:
    """In a process of its own, where libraries may print warnings."""
    folder = write_images(tmp_path / 'in', 'a.png', 'b.jpg')
    (folder / 'cut.png').write_bytes((folder / 'a.png').read_bytes()[:300])
    (folder / 'cut.jpg').write_bytes((folder / 'b.jpg').read_bytes()[:300])
    (folder / 'video.mp4').write_bytes(b'\0\0\0\x20ftypisom' + bytes(200))
    module = 'hier_seg_ros.commands.segment_images'
    arguments = [folder, '--out', tmp_path / 'out', '--model', untrained_model, '--device', 'cpu']
    result = subprocess.run(
        [sys.executable, '-m', module, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert [line for line in lines if not line.startswith('segment_images: ')] == []
    assert len(lines) == 4


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--alpha', 'nan'], '--alpha: nan is outside 0-1'),
        (['--min-confidence', 'nan'], 'min_confidence: nan is outside 0-1'),
        (['--min-confidence', 'inf'], 'min_confidence: inf is outside 0-1'),
        (['--device', 'cuda:99'], "device 'cuda:99': PyTorch sees"),
        (['--device', 'cpu:0'], "device 'cpu:0': is none of"),
        (['--device', ''], "device '': is none of"),
        (['--levels', '1,9'], '--levels: the tree of untrained has 3 levels, there is no level 9'),
        (['--forbidden-classes', 'Pedestrain Area'], "did you mean 'Pedestrian Area'?"),
        (['--allowed-classes', 'Pole', 'Raod'], "has no class 'Raod'; did you mean 'Road'?"),
        (['--model', 'street_lite'], "did you mean 'street_lite0'?"),
        (['--model', 'models/street-lite0'], "did you mean 'street_lite0'?"),
    ],
)
def test_options_are_refused_by_name(
    tmp_path: Path, untrained_model: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    folder = write_images(tmp_path / 'in', 'a.png')
    common = [str(folder), '--out', str(tmp_path / 'out'), '--model', str(untrained_model)]
    assert main([*common, *arguments]) == 1
    text, (line,) = said(capsys)
    assert reason in line and text == '' and not (tmp_path / 'out').exists()
