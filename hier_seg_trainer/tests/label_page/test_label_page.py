# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: answers by keys, painted frames, two people, a server that dies."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_pages import (
    Server,
    log_of,
    opened_page,
    served,
    shown_proposal,
    started_browser,
    wait_for_proposal,
    wait_until_saved,
)
from small_labelling_folder import FIRST, SECOND, SIGN, SIZE, write_small_folder

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.labelling.folder import LabellingFolder

PHONE = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with started_browser() as found:
        yield found


@pytest.fixture
def server(tmp_path: Path, tree: Hierarchy) -> Iterator[Server]:
    write_small_folder(tmp_path / 'folder', tree)
    with served(tmp_path / 'folder', '--author', 'anna') as found:
        yield found


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    with opened_page(browser, server.address) as found:
        yield found


def actions(server: Server) -> list[tuple[str, Any]]:
    """Return what the log says, without who and when."""
    subjects = ('proposal', 'undoes', 'image')
    return [
        (entry['action'], next(entry[key] for key in subjects if key in entry))
        for entry in log_of(server.folder)
    ]


def newest_labels(server: Server, image: str) -> np.ndarray:
    folder = LabellingFolder.open(server.folder)
    return folder.frame_labels(folder.open_log().state.frames[image])


def open_frame(page: Any, image: str) -> None:
    page.keyboard.press('m')
    page.wait_for_selector('html[data-frame]')
    page.locator('#frame-name').select_option(image)
    page.wait_for_selector(f'html[data-frame="{image}"]')


def on_stage(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return the place in the window of a place in the frame, in pixels."""
    box = page.locator('#photo').bounding_box()
    height, width = SIZE
    return box['x'] + x * box['width'] / width, box['y'] + y * box['height'] / height


def drag(page: Any, *places: tuple[float, float]) -> None:
    page.mouse.move(*on_stage(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*on_stage(page, *place), steps=4)
    page.mouse.up()


def test_keys_answer_and_undo(page: Any, server: Server, tree: Hierarchy) -> None:
    guesses = [node for node in tree.nodes if node.parent == SIGN]
    assert shown_proposal(page) == 7
    page.keyboard.press('2')
    assert shown_proposal(page) == 3
    page.keyboard.press('x')
    assert shown_proposal(page) == 5
    wait_until_saved(page)
    page.keyboard.press('z')
    assert shown_proposal(page) == 3
    page.keyboard.press('0')
    page.keyboard.press('t')
    page.wait_for_selector('#finished', state='visible', timeout=20_000)
    wait_until_saved(page)
    assert actions(server) == [
        ('label', 7), ('nothing', 3), ('undo', 2), ('unknown', 3), ('label', 5),
    ]  # fmt: skip
    first, *_, last = log_of(server.folder)
    assert (first['class'], last['class'], first['author']) == (guesses[1].name, SIGN, 'anna')
    assert page.locator('#counts').inner_text().startswith('0 of 3 left')


def test_many_keys_at_once_are_all_answered_in_their_order(page: Any, server: Server) -> None:
    # Faster than any answer of the server can come.
    for key in ('1', '1', 'z', 'z', 'x', '0', ' '):
        page.keyboard.press(key)
    page.wait_for_selector('#finished', state='visible', timeout=20_000)
    wait_until_saved(page)
    folder = LabellingFolder.open(server.folder)
    state = folder.open_log().state
    assert {key: entry.action for key, entry in state.answers.items()} == {
        7: 'nothing', 3: 'unknown',
    }  # fmt: skip
    assert state.put_off[5].action == 'skip'


def test_search_finds_a_class_by_keys_alone(page: Any, server: Server, tree: Hierarchy) -> None:
    page.keyboard.press('/')
    page.keyboard.type('limit 50')
    assert page.locator('#sign-classes [role=option]').count() == 1
    page.keyboard.press('Enter')
    assert shown_proposal(page) == 3
    # Keys mean answers again.
    page.keyboard.press('Enter')
    page.keyboard.type('bend')
    page.keyboard.press('ArrowDown')
    page.keyboard.press('ArrowUp')
    page.keyboard.press('Escape')
    page.keyboard.press('1')
    wait_until_saved(page)
    assert [entry['class'] for entry in log_of(server.folder)] == [
        tree.node('speed limit 50').name, tree.node('speed limit 20').name,
    ]  # fmt: skip
    # Nothing is guessed of the last one: what was chosen before has keys.
    assert page.locator('.guess').all_inner_texts()[0].startswith('1')
    assert 'recent' in page.locator('.guess').first.inner_text()


def test_skipped_and_flagged_ones_come_again(page: Any, server: Server) -> None:
    page.keyboard.press(' ')
    page.keyboard.press('f')
    page.wait_for_selector('#asked[open]')
    page.keyboard.type('too dark')
    page.keyboard.press('Enter')
    page.wait_for_selector('#asked', state='hidden')
    page.keyboard.press('0')
    wait_until_saved(page)
    page.locator('#again-flag').click()
    wait_for_proposal(page, 3)
    assert 'too dark' in page.locator('#standing').inner_text()
    page.keyboard.press('x')
    page.locator('#again-skip').click()
    wait_for_proposal(page, 7)
    page.keyboard.press('1')
    page.wait_for_selector('#finished', state='visible', timeout=20_000)
    wait_until_saved(page)
    assert log_of(server.folder)[1]['comment'] == 'too dark'
    assert LabellingFolder.open(server.folder).open_log().state.counts() == {
        'label': 1, 'unknown': 1, 'nothing': 1, 'skip': 0, 'flag': 0,
    }  # fmt: skip


def test_a_killed_server_loses_nothing_and_the_page_goes_on(
    browser: Any, server: Server, tree: Hierarchy
) -> None:
    with opened_page(browser, server.address) as page:
        page.keyboard.press('1')
        wait_until_saved(page)
        server.end(signal.SIGKILL)
        assert actions(server) == [('label', 7)]
        # As a killed process may leave it: half a line.
        log = server.folder / 'log.jsonl'
        log.write_bytes(log.read_bytes() + b'{"number": 2, "time": "2026-')
        page.keyboard.press('0')
        page.keyboard.press('x')
        page.wait_for_selector('#saved.waiting')
        assert 'does not answer' in page.locator('#saved').inner_text()
        # The browser's window may be loaded anew meanwhile: its answers are kept.
        port = int(re.search(r':(\d+)/', server.address)[1])
        with served(server.folder) as again:
            # The same token and port: the address is as it was.
            assert again.address == server.address and str(port) in again.address
            assert any('dropped' in line for line in again.said)
            wait_until_saved(page)
            assert actions(server) == [('label', 7), ('unknown', 3), ('nothing', 5)]
            # What was answered before can be taken back after it.
            for _ in range(3):
                page.keyboard.press('z')
            wait_until_saved(page)
            assert actions(server)[3:] == [('undo', 3), ('undo', 2), ('undo', 1)]
            assert shown_proposal(page) == 7


def test_answers_outlast_a_reload_while_the_server_is_away(browser: Any, server: Server) -> None:
    with opened_page(browser, server.address) as page:
        server.process.send_signal(signal.SIGSTOP)
        page.keyboard.press('0')
        kept = page.evaluate('JSON.stringify(sessionStorage)')
        assert '"unknown' in kept.replace('\\', '')
        server.process.send_signal(signal.SIGCONT)
        wait_until_saved(page)
        assert actions(server) == [('unknown', 7)]


def test_a_log_that_cannot_be_written_is_said_and_the_answer_kept(
    page: Any, server: Server
) -> None:
    page.keyboard.press('1')
    wait_until_saved(page)
    log, aside = server.folder / 'log.jsonl', server.folder / 'aside.jsonl'
    log.rename(aside)
    log.mkdir()
    page.keyboard.press('x')
    page.wait_for_selector('#saved.waiting')
    assert 'log.jsonl: cannot be written' in page.locator('#saved').inner_text()
    log.rmdir()
    aside.rename(log)
    wait_until_saved(page)
    assert actions(server) == [('label', 7), ('nothing', 3)]


def test_two_browsers_share_the_work_and_overwrite_nothing(
    browser: Any, server: Server, tree: Hierarchy
) -> None:
    with (
        opened_page(browser, server.address) as first,
        opened_page(browser, f'{server.address}#sign-7') as second,
    ):
        second.locator('#author').click()
        second.locator('#asked-value').fill('bob')
        second.keyboard.press('Enter')
        assert shown_proposal(first) == 7 and shown_proposal(second) == 7
        first.keyboard.press('1')
        wait_until_saved(first)
        second.keyboard.press('x')
        second.wait_for_selector('#conflict[open]')
        text = second.locator('#conflict-text').inner_text()
        assert 'anna' in text and 'speed limit 20' in text and 'not one at all' in text
        assert actions(server) == [('label', 7)]
        second.keyboard.press('t')
        wait_until_saved(second)
        assert actions(server) == [('label', 7)]
    with opened_page(browser, f'{server.address}#sign-7') as third:
        assert third.locator('#standing').inner_text() == 'anna: speed limit 20'
        third.keyboard.press('x')
        wait_until_saved(third)
        # Seen before it was answered: no conflict, and the log has both.
        assert actions(server) == [('label', 7), ('nothing', 7)]


def test_brush_eraser_and_fill_paint_what_they_say(
    page: Any, server: Server, tree: Hierarchy
) -> None:
    open_frame(page, FIRST)
    page.keyboard.press('/')
    page.keyboard.type('building')
    page.keyboard.press('Enter')
    page.locator('#size').fill('3')
    drag(page, (20.5, 20.5), (30.5, 20.5))
    wait_until_saved(page)
    before = LabellingFolder.open(server.folder).prediction(FIRST)
    labels = newest_labels(server, FIRST)
    building = tree.node('Building').id
    changed = labels != before
    assert set(labels[changed]) == {building}
    rows, columns = np.nonzero(changed)
    # A stroke of 10 pixels with a round brush of 3: two half discs and what lies between.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (19, 31, 19, 21)
    page.keyboard.press('e')
    drag(page, (25.5, 19.0), (25.5, 23.0))
    page.keyboard.press('f')
    page.mouse.click(*on_stage(page, 5.5, 40.5))
    wait_until_saved(page)
    labels = newest_labels(server, FIRST)
    assert (labels[19:22, 25] == UNLABELLED).all()
    # The road, all of it, and nothing else.
    assert np.array_equal(labels[30:], np.full_like(labels[30:], building))
    assert (before[30:] == tree.node('Driveable').id).all()
    page.keyboard.press('z')
    page.keyboard.press('z')
    page.keyboard.press('z')
    wait_until_saved(page)
    assert np.array_equal(newest_labels(server, FIRST), before)
    page.keyboard.press('y')
    wait_until_saved(page)
    assert (newest_labels(server, FIRST) != before).sum() == changed.sum()


def test_a_polygon_snaps_to_the_edges_of_the_prediction(
    page: Any, server: Server, tree: Hierarchy
) -> None:
    open_frame(page, FIRST)
    page.keyboard.press('p')
    page.keyboard.press('/')
    page.keyboard.type('sky')
    page.keyboard.press('Enter')
    # The road's upper edge is row 30; the first two corners are beside it.
    for x, y in ((5.1, 29.6), (50.2, 30.4), (50.2, 10.0), (5.1, 10.0)):
        page.mouse.click(*on_stage(page, x, y))
    page.keyboard.press('Enter')
    wait_until_saved(page)
    before = LabellingFolder.open(server.folder).prediction(FIRST)
    labels = newest_labels(server, FIRST)
    sky = tree.node('Sky').id
    assert (labels[30:] == before[30:]).all() and (labels[10:30, 5:50] == sky).all()
    rows, columns = np.nonzero(labels == sky)
    assert rows.min() == 10 and columns.min() == 5 and columns.max() <= 50


def test_a_polygon_follows_a_winding_edge(page: Any, server: Server, tree: Hierarchy) -> None:
    open_frame(page, FIRST)
    before = LabellingFolder.open(server.folder).prediction(FIRST)
    page.keyboard.press('p')
    page.keyboard.press('/')
    page.keyboard.type('pole')
    page.keyboard.press('Enter')
    # Three corners of the L; the way between them goes around the inner corner.
    for corner in ((10, 5), (10, 8), (13, 8)):
        page.mouse.click(*on_stage(page, *corner))
    page.keyboard.press('Enter')
    wait_until_saved(page)
    changed = newest_labels(server, FIRST) != before
    assert np.array_equal(changed[5:8, 10:13], before[5:8, 10:13] == tree.node(SIGN).id)
    assert changed.sum() == 5


def test_two_people_who_paint_one_frame_choose(
    browser: Any, server: Server, tree: Hierarchy
) -> None:
    with (
        opened_page(browser, server.address) as first,
        opened_page(browser, server.address) as second,
    ):
        for page in (first, second):
            open_frame(page, FIRST)
        drag(first, (20.5, 20.5), (30.5, 20.5))
        wait_until_saved(first)
        theirs = newest_labels(server, FIRST)
        drag(second, (40.5, 10.5), (50.5, 10.5))
        second.wait_for_selector('#conflict[open]')
        assert np.array_equal(newest_labels(server, FIRST), theirs)
        second.keyboard.press('m')
        wait_until_saved(second)
        mine = newest_labels(server, FIRST)
        assert mine[10, 45] != theirs[10, 45] and mine[20, 25] != theirs[20, 25]
        # The other window is told when it goes on, and takes what is there.
        drag(first, (20.5, 25.5), (30.5, 25.5))
        first.wait_for_selector('#conflict[open]')
        first.keyboard.press('t')
        wait_until_saved(first)
        assert np.array_equal(newest_labels(server, FIRST), mine)


def test_touch_paints_and_two_fingers_zoom(browser: Any, server: Server) -> None:
    with opened_page(browser, server.address, has_touch=True) as page:
        open_frame(page, SECOND)
        page.evaluate(
            """([x, y]) => {
                const stage = document.getElementById('stage');
                const send = (type, id, dx) => stage.dispatchEvent(new PointerEvent(type, {
                    pointerId: id, pointerType: 'touch', clientX: x + dx, clientY: y, bubbles: true,
                    buttons: 1,
                }));
                stage.setPointerCapture = () => {};
                window.before = document.getElementById('world').style.transform;
                // A pinch leaves no paint, not even that of its first finger.
                send('pointerdown', 1, 0); send('pointerdown', 2, 40);
                send('pointermove', 2, 120); send('pointerup', 2, 120); send('pointerup', 1, 0);
                window.after = document.getElementById('world').style.transform;
            }""",
            list(on_stage(page, 20, 20)),
        )
        assert page.evaluate('window.before !== window.after')
        page.wait_for_timeout(1000)
        assert actions(server) == []
        page.keyboard.press('0')
        page.touchscreen.tap(*on_stage(page, 20.5, 20.5))
        wait_until_saved(page)
        assert actions(server) == [('frame', SECOND)]


def test_an_image_that_is_gone_is_named_and_the_rest_goes_on(
    browser: Any, server: Server, tree: Hierarchy
) -> None:
    (server.folder / 'images' / FIRST).unlink()
    with opened_page(browser, server.address) as page:
        page.wait_for_selector('#toast.fault')
        assert FIRST in page.locator('#toast').inner_text()
        page.keyboard.press(' ')
        assert shown_proposal(page) == 3


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('device', [{}, PHONE], ids=['desk', 'phone'])
def test_page_is_readable_anywhere(
    browser: Any, server: Server, scheme: str, device: dict[str, Any]
) -> None:
    with opened_page(browser, server.address, color_scheme=scheme, **device) as page:
        for mode in ('signs', 'frames'):
            if mode == 'frames':
                open_frame(page, FIRST)
            width, content = page.evaluate('[innerWidth, document.documentElement.scrollWidth]')
            assert content <= width
            background, text = page.evaluate(
                """['backgroundColor', 'color'].map((key) =>
                    getComputedStyle(document.body)[key])"""
            )
            light = [sum(map(float, one[4:-1].split(','))) / 3 for one in (background, text)]
            assert (light[0] > 200) == (scheme == 'light')
            assert abs(light[0] - light[1]) > 120
        page.locator('#help').click()
        assert page.locator('#help-dialog').is_visible()
        page.keyboard.press('Escape')
        assert page.locator('#help-dialog').is_hidden()


def test_every_key_of_the_help_does_something(page: Any) -> None:
    page.keyboard.press('?')
    keys = page.locator('#help-dialog kbd').all_inner_texts()
    page.keyboard.press('Escape')
    assert len(keys) > 30
    # What the first mode says of its keys, each once.
    before = page.evaluate("document.getElementById('crop').toDataURL()")
    for key in ('+', 'v'):
        page.keyboard.press(key)
        after = page.evaluate("document.getElementById('crop').toDataURL()")
        assert after != before, key
        before = after


def test_settings_and_names_with_strange_characters_are_shown_as_text(
    browser: Any, tmp_path: Path, tree: Hierarchy
) -> None:
    folder = tmp_path / '<img src=x onerror=alert(1)>'
    write_small_folder(folder, tree)
    with (
        served(folder, '--author', '<b>"anna"</b>') as server,
        opened_page(browser, server.address) as page,
    ):
        assert page.locator('#folder-name').inner_text() == folder.name
        assert page.locator('#author').inner_text() == '<b>"anna"</b>'
        page.keyboard.press('x')
        wait_until_saved(page)
        assert json.loads((folder / 'log.jsonl').read_text('utf-8'))['author'] == '<b>"anna"</b>'
