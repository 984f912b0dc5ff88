# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders are whole or not there, whatever ends the writing of them."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files import writing
from hier_seg_ros.files.writing import (
    WrittenFolder,
    carry_over,
    make_folder,
    write_bytes,
    write_text,
    written_file,
    written_folder,
)

NAMES = ('a', 'b', 'c')


def write_version(folder: Path, version: int) -> None:
    """Write a folder of three files that all say the same, in several steps."""
    with written_folder(folder) as new:
        (new / 'below').mkdir()
        for name in NAMES:
            with (new / 'below' / name).open('w', encoding='utf-8') as file:
                for _ in range(50):
                    file.write(f'{version:08}\n')


def version_of(folder: Path) -> int:
    """Return the version that a folder holds, whole."""
    texts = {(folder / 'below' / name).read_text(encoding='utf-8') for name in NAMES}
    assert len(texts) == 1
    lines = texts.pop().splitlines()
    assert len(lines) == 50
    assert len(set(lines)) == 1
    return int(lines[0])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / 'made' / 'too' / 'a.txt'
    write_text(path, 'old')
    with written_file(path) as partial:
        assert partial.parent == path.parent
        assert partial.name.startswith('.')
        partial.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'
    write_bytes(path, b'\0\xff')
    assert path.read_bytes() == b'\0\xff'
    assert names_in(path.parent) == ['a.txt']


def test_text_is_utf_8_and_any_text_can_be_written(tmp_path: Path) -> None:
    # The name of a file whose bytes are no text has such halves of characters.
    write_text(tmp_path / 'a.txt', 'Straße \U0001f600 ' + os.fsdecode(b'\xff') + '\r\n')
    assert (tmp_path / 'a.txt').read_bytes() == 'Straße \U0001f600 \\udcff\r\n'.encode()


def test_a_folder_is_written_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / 'made' / 'too' / 'folder'
    write_version(folder, 1)
    (folder / 'old').touch()
    with written_folder(folder) as new:
        assert new.name == 'folder'
        assert list(new.iterdir()) == []
        assert version_of(folder) == 1
    assert list(folder.iterdir()) == []
    write_version(folder, 2)
    assert version_of(folder) == 2
    assert names_in(folder.parent) == ['folder']


@pytest.mark.parametrize('error', [LookupError, KeyboardInterrupt, SystemExit, MemoryError])
def test_an_exception_leaves_what_was_there(error: type[BaseException], tmp_path: Path) -> None:
    def fail_at_file() -> None:
        with written_file(tmp_path / 'file') as partial:
            partial.write_text('half')
            raise error

    def fail_at_folder() -> None:
        with written_folder(tmp_path / 'folder') as new:
            (new / 'half').touch()
            raise error

    for fail in (fail_at_file, fail_at_folder):
        with pytest.raises(error):
            fail()
    assert names_in(tmp_path) == []
    write_text(tmp_path / 'file', 'old')
    write_version(tmp_path / 'folder', 1)
    for fail in (fail_at_file, fail_at_folder):
        with pytest.raises(error):
            fail()
    assert (tmp_path / 'file').read_text() == 'old'
    assert version_of(tmp_path / 'folder') == 1
    assert names_in(tmp_path) == ['file', 'folder']


def full_disk(*_: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('call', ['fsync', 'replace', 'rename', 'mkdir'])
def test_a_full_disk_leaves_what_was_there(
    call: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_text(tmp_path / 'file', 'old')
    write_version(tmp_path / 'folder', 1)
    attempts: dict[str, Callable[[Path], None]] = {}
    if call in ('fsync', 'replace'):
        attempts['file'] = lambda path: write_text(path, 'new')
    if call != 'replace':
        attempts['folder'] = lambda path: write_version(path, 2)
    for name, write in attempts.items():
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full_disk)
            with pytest.raises(HierSegError) as caught:
                write(tmp_path / name)
        assert str(caught.value) == (
            f'{tmp_path / name}: cannot be written (No space left on device); make room or choose '
            f'another place'
        )
    assert (tmp_path / 'file').read_text() == 'old'
    assert version_of(tmp_path / 'folder') == 1
    assert names_in(tmp_path) == ['file', 'folder']


FULL = """
import resource, signal, sys
from pathlib import Path
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import write_text, written_folder

folder = Path(sys.argv[1])
write_text(folder / 'file', 'old')
with written_folder(folder / 'folder') as new:
    (new / 'a').write_text('old')
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_text(folder / 'file', 'n' * 60_000)
except HierSegError as error:
    print(error)
try:
    with written_folder(folder / 'folder') as new:
        (new / 'a').write_text('new')
        (new / 'b').write_text('n' * 60_000)
except HierSegError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off_leaves_what_was_there(tmp_path: Path) -> None:
    result = run_python(FULL, str(tmp_path))
    advice = 'make room or choose another place'
    assert result.splitlines() == [
        f'{tmp_path / "file"}: cannot be written (File too large); {advice}',
        f'{tmp_path / "folder"}: cannot be written (File too large); {advice}',
    ]
    assert (tmp_path / 'file').read_text() == 'old'
    assert names_in(tmp_path / 'folder') == ['a']
    assert (tmp_path / 'folder' / 'a').read_text() == 'old'
    assert names_in(tmp_path) == ['file', 'folder']


# A process that forks writers and ends them at random moments. What each leaves is looked at before
# the next begins; hidden places that are left are counted and removed.
KILLED = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from hier_seg_ros.files import writing
from hier_seg_ros.files.writing import write_text, written_folder

folder, number, count, one_step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
if one_step == 'no':
    writing._exchange = lambda first, second: False

def text(version):
    return f'{version:08}\\n' * 5000

def write(version):
    write_text(folder / 'file', text(version))
    with written_folder(folder / 'folder') as new:
        for name in 'abc':
            (new / name).write_text(text(version))

def write_for_ever(version):
    while True:
        version += 1
        write(version)

write(0)
start = time.monotonic()
write(0)
span = time.monotonic() - start
generator, hidden, versions, absent = random.Random(1), 0, set(), 0
for _ in range(count):
    begin = int((folder / 'file').read_text()[:8])
    ready, is_ready = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Python drops a signal that comes while it forks, and an exception in a finalizer.
        signal.alarm(60)
        try:
            os.write(is_ready, b'.')
            write_for_ever(begin)
        finally:
            os._exit(1)
    os.read(ready, 1)
    os.close(ready)
    os.close(is_ready)
    time.sleep(generator.uniform(0.0, 3 * span))
    os.kill(child, number)
    os.waitpid(child, 0)
    visible = {path for path in folder.iterdir() if not path.name.startswith('.')}
    if one_step == 'no' and folder / 'folder' not in visible:
        absent += 1
        write(begin)
        visible.add(folder / 'folder')
    assert visible == {folder / 'file', folder / 'folder'}, visible
    contents = {(folder / 'folder' / name).read_text() for name in 'abc'}
    assert len(contents) == 1, 'files of two versions'
    for content in (*contents, (folder / 'file').read_text()):
        versions.add(int(content[:8]))
        assert content == text(int(content[:8])), 'half a file'
    for path in folder.iterdir():
        if path.name.startswith('.'):
            hidden += 1
            shutil.rmtree(path) if path.is_dir() else path.unlink()
print(hidden, len(versions), absent)
"""


@pytest.mark.parametrize('one_step', ['yes', 'no'])
@pytest.mark.parametrize('signal', ['SIGKILL', 'SIGINT'])
def test_a_writer_that_is_ended_leaves_the_old_or_the_new(
    signal: str, one_step: str, tmp_path: Path
) -> None:
    import signal as signals

    number = int(signals.Signals[signal])
    hidden, versions, absent = map(
        int, run_python(KILLED, str(tmp_path), str(number), '120', one_step).split()
    )
    assert versions > 10, 'the writers got somewhere'
    if signal == 'SIGKILL':
        assert hidden > 10, 'and were ended amid their work'
    else:
        # Ctrl-C while the hidden place is being removed, at most.
        assert hidden < 60
    if one_step == 'yes' or signal == 'SIGINT':
        assert absent == 0


@pytest.mark.parametrize('mask', [0o022, 0o027, 0o077])
def test_permissions_follow_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / 'file', 'a')
        write_version(tmp_path / 'folder', 1)
        (tmp_path / 'file').chmod(0o600)
        (tmp_path / 'folder').chmod(0o700)
        write_text(tmp_path / 'file', 'b')
        write_version(tmp_path / 'folder', 2)
    finally:
        os.umask(before)

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(tmp_path / 'file') == 0o666 & ~mask
    assert mode(tmp_path / 'folder') == 0o777 & ~mask
    assert mode(tmp_path / 'folder' / 'below') == 0o777 & ~mask
    assert mode(tmp_path / 'folder' / 'below' / 'a') == 0o666 & ~mask


def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    file, folder = tmp_path / ('f' * 255), tmp_path / ('o' * 255)
    for version in (1, 2):
        write_text(file, str(version))
        write_version(folder, version)
    assert file.read_text() == '2'
    assert version_of(folder) == 2
    too_long = tmp_path / ('n' * 256)
    for write in (lambda: write_text(too_long, 'a'), lambda: write_version(too_long, 1)):
        with pytest.raises(HierSegError, match=r'cannot be written \(File name too long\)'):
            write()
    assert names_in(tmp_path) == sorted([file.name, folder.name])


def test_writers_at_the_same_time_leave_one_version_each(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for turn in range(20):
            version = writer * 100 + turn
            write_text(tmp_path / 'file', f'{version}\n' * 2000)
            write_version(tmp_path / 'folder', version)
            assert len(set((tmp_path / 'file').read_text().splitlines())) == 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert version_of(tmp_path / 'folder') % 100 == 19
    assert int((tmp_path / 'file').read_text().splitlines()[0]) % 100 == 19
    assert names_in(tmp_path) == ['file', 'folder']


def test_a_folder_is_never_seen_missing_while_it_is_replaced(tmp_path: Path) -> None:
    write_version(tmp_path / 'folder', 0)
    with ThreadPoolExecutor(1) as thread:
        writer = thread.submit(
            lambda: [write_version(tmp_path / 'folder', version) for version in range(1, 40)]
        )
        looks = 0
        while not writer.done():
            assert (tmp_path / 'folder').is_dir()
            looks += 1
        writer.result()
    assert looks > 40


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do as on a file system where folders cannot change places."""
    monkeypatch.setattr(writing, '_exchange', lambda first, second: False)


def test_a_folder_is_replaced_in_two_steps_where_one_is_not_offered(
    two_steps: None, tmp_path: Path
) -> None:
    for version in range(3):
        write_version(tmp_path / 'partial', version)
    assert version_of(tmp_path / 'partial') == 2
    assert names_in(tmp_path) == ['partial']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_the_second_of_two_steps_takes_the_first_back(
    error: type[BaseException], two_steps: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_version(tmp_path / 'folder', 1)
    rename, calls = Path.rename, []

    def third_fails(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 3:
            raise error('no')
        return rename(path, target)

    monkeypatch.setattr(Path, 'rename', third_fails)
    with pytest.raises(HierSegError if error is OSError else error):
        write_version(tmp_path / 'folder', 2)
    assert len(calls) == 4
    assert version_of(tmp_path / 'folder') == 1
    assert names_in(tmp_path) == ['folder']


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    for name in ('real', 'links'):
        (tmp_path / name).mkdir()
    write_text(tmp_path / 'real' / 'file', 'old')
    write_version(tmp_path / 'real' / 'folder', 1)
    for name in ('file', 'folder', 'absent'):
        (tmp_path / 'links' / name).symlink_to(tmp_path / 'real' / name)
    write_text(tmp_path / 'links' / 'file', 'new')
    write_version(tmp_path / 'links' / 'folder', 2)
    write_text(tmp_path / 'links' / 'absent', 'made')
    assert (tmp_path / 'real' / 'file').read_text() == 'new'
    assert version_of(tmp_path / 'real' / 'folder') == 2
    assert (tmp_path / 'real' / 'absent').read_text() == 'made'
    assert all(path.is_symlink() for path in (tmp_path / 'links').iterdir())
    assert names_in(tmp_path / 'links') == ['absent', 'file', 'folder']


def test_a_folder_is_found_by_any_path_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    write_version(Path('../there'), 1)
    write_version(Path('../there/../there'), 2)
    write_version(Path('below/..'), 3)
    assert version_of(tmp_path / 'there') == 2
    assert version_of(tmp_path / 'here') == 3


def circle(folder: Path) -> Path:
    (folder / 'circle').symlink_to(folder / 'circle')
    return folder / 'circle' / 'a'


@pytest.mark.parametrize(
    'place',
    [
        lambda folder: folder / 'a\0b',
        lambda folder: folder / 'file' / 'below',
        lambda folder: Path('/'),
        lambda folder: Path('/dev/null'),
        lambda folder: Path('/proc/a'),
        circle,
    ],
    ids=['null', 'file', 'root', 'device', 'proc', 'circle'],
)
def test_a_place_where_nothing_can_be_is_named(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    (tmp_path / 'file').touch()
    path = place(tmp_path)
    for write in (lambda: write_text(path, 'a', 'go away'), lambda: write_version(path, 1)):
        with pytest.raises(HierSegError) as caught:
            write()
        message = str(caught.value)
        assert '\n' not in message
        assert 'cannot be written (' in message
    assert Path('/dev/null').is_char_device()
    assert {path.name for path in tmp_path.iterdir()} <= {'file', 'circle'}


def test_neither_a_file_nor_a_folder_takes_the_others_place(tmp_path: Path) -> None:
    write_text(tmp_path / 'file', 'a')
    write_version(tmp_path / 'folder', 1)
    with pytest.raises(HierSegError, match=r'cannot be written \(it is no regular file\)'):
        write_text(tmp_path / 'folder', 'a')
    with pytest.raises(HierSegError, match=r'cannot be written \(Not a directory\)'):
        write_version(tmp_path / 'file', 1)
    with pytest.raises(HierSegError, match=r'cannot be written \(File exists\)'):
        make_folder(tmp_path / 'file')
    assert (tmp_path / 'file').read_text() == 'a'
    assert version_of(tmp_path / 'folder') == 1


def test_what_was_never_written_is_said(tmp_path: Path) -> None:
    no_file = pytest.raises(HierSegError, match=r'a: cannot be written \(No such file')
    with no_file, written_file(tmp_path / 'a'):
        pass
    folder = WrittenFolder(tmp_path / 'b')
    with pytest.raises(HierSegError, match=r'b: cannot be written \(No such file'):
        folder.finish()
    folder.discard()
    assert names_in(tmp_path) == []


def test_a_folder_that_is_written_piece_by_piece(tmp_path: Path) -> None:
    write_version(tmp_path / 'folder', 1)
    folder = WrittenFolder(tmp_path / 'folder')
    assert not folder.partial.exists()
    folder.partial.mkdir()
    (folder.partial / 'a').touch()
    assert version_of(tmp_path / 'folder') == 1
    folder.discard()
    folder.discard()
    assert names_in(tmp_path) == ['folder']
    folder = WrittenFolder(tmp_path / 'folder')
    folder.partial.mkdir()
    (folder.partial / 'a').touch()
    folder.finish()
    assert names_in(tmp_path / 'folder') == ['a']
    folder.discard()
    assert names_in(tmp_path) == ['folder']


@pytest.mark.parametrize('linked', [True, False])
def test_entries_are_carried_over(
    linked: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not linked:
        monkeypatch.setattr(os, 'link', full_disk)
    old = tmp_path / 'folder'
    (old / 'notes' / 'deep').mkdir(parents=True)
    (old / 'ours').write_text('old')
    (old / 'notes' / 'deep' / 'a.txt').write_text('mine')
    (old / '.hidden').write_text('mine, too')
    (old / 'link').symlink_to('notes')
    (old / 'nowhere').symlink_to('/nowhere')
    (old / '.hidden').chmod(0o640)
    times = (old / '.hidden').stat().st_mtime_ns
    if linked:
        os.mkfifo(old / 'pipe')
    with written_folder(old) as new:
        (new / 'ours').write_text('new')
        carry_over(old, new, ['ours'])
    assert (old / 'ours').read_text() == 'new'
    assert (old / 'notes' / 'deep' / 'a.txt').read_text() == 'mine'
    assert (old / '.hidden').read_text() == 'mine, too'
    assert stat.S_IMODE((old / '.hidden').stat().st_mode) == 0o640
    assert (old / '.hidden').stat().st_mtime_ns == times
    assert (old / 'link').readlink() == Path('notes')
    assert (old / 'nowhere').readlink() == Path('/nowhere')
    assert (old / 'pipe').is_fifo() == linked
    assert names_in(tmp_path) == ['folder']


def test_an_entry_that_cannot_be_carried_over_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / 'folder'
    (old / 'notes').mkdir(parents=True)
    os.mkfifo(old / 'notes' / 'pipe')
    monkeypatch.setattr(os, 'link', full_disk)
    with pytest.raises(HierSegError) as caught, written_folder(old) as new:
        carry_over(old, new, [])
    assert '\n' not in str(caught.value)
    assert 'pipe' in str(caught.value)
    assert names_in(old) == ['notes']
    assert names_in(tmp_path) == ['folder']


def run_python(code: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, '-c', code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
