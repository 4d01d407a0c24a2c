"""The page in a real browser: no complaint, no request, nothing wider than a phone, and everything answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.report import html

from .chromium import Chromium, executable
from .example_facts import EXAMPLES, penguins
from .test_page import hostile

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium is installed")

PHONE = 390
A4 = 718  # pixels between the usual margins of a printed page
TIP = "document.getElementById('tip')"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, facts in EXAMPLES.items():
        html.write(facts(), folder / f"{name}.html")
    html.write(hostile(penguins()), folder / "hostile.html")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium(executable() or "") as browser:
        yield browser


@pytest.fixture(autouse=True)
def without_complaint(browser: Chromium) -> Iterator[None]:
    browser.complaints.clear()
    browser.requests.clear()
    yield
    assert browser.complaints == []
    assert [url[:80] for url in browser.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", [*EXAMPLES, "hostile"])
@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(browser: Chromium, pages: Path, name: str):
    browser.open(pages / f"{name}.html", PHONE, 800)
    assert browser.value("document.documentElement.scrollWidth") <= PHONE
    wide = browser.value(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg') && "
        f"e.getBoundingClientRect().right > {PHONE} && !e.closest('.spoken')).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert browser.value("window.pwned") is None


def test_the_table_of_numbers_scrolls_under_its_first_column(browser: Chromium, pages: Path):
    browser.open(pages / "digits.html", PHONE, 800)
    browser.value("document.querySelector('.wide').scrollLeft = 400")
    assert browser.value("document.querySelector('.wide').scrollLeft") == 400
    assert 0 <= browser.value("document.querySelector('.numbers tbody th').getBoundingClientRect().left") < 40


def test_pointing_at_a_map_shows_the_row_and_finds_it_in_the_other_maps(browser: Chromium, pages: Path):
    browser.open(pages / "digits.html")
    assert browser.value(f"{TIP}.hidden")
    browser.point_at(".panel.chosen .map [data-row='17']")
    assert not browser.value(f"{TIP}.hidden")
    shown = browser.value("document.querySelectorAll('.panel.chosen .ring.on').length")
    assert shown == 3
    row = browser.value(f"{TIP}.textContent.match(/row (\\d+)/)[1]")
    assert browser.value(f"{TIP}.querySelector('img').naturalWidth") == 8
    # Another dot may lie on top of the one pointed at; what is ringed must be what is told.
    mark, ring = (
        browser.value(f"document.querySelector(\".panel.chosen .map {which}\").getAttribute('cx')")
        for which in (f"[data-row='{row}']", ".ring.on")
    )
    assert mark == ring
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=400)
    assert browser.value(f"{TIP}.hidden")


def test_tooltips_come_to_the_keyboard_and_to_touch(browser: Chromium, pages: Path):
    browser.open(pages / "penguins.html")
    browser.centre(".panel.chosen .plot:has(.map)")
    browser.value(
        "document.querySelector('.panel.chosen .plot:has(.map)').focus({focusVisible: true, preventScroll: true})"
    )
    browser.key("ArrowRight")
    first = browser.value(f"{TIP}.textContent")
    browser.key("ArrowRight")
    second = browser.value(f"{TIP}.textContent")
    assert "body_mass_g" in first
    assert second != first
    browser.key("Escape")
    assert browser.value(f"{TIP}.hidden")
    x, y = browser.centre(".two-wide .plot [data-tip]")
    browser.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert "latent size" in browser.value(f"{TIP}.textContent")
    assert not browser.value(f"{TIP}.hidden")


def test_a_heading_of_the_table_tells_its_meaning_and_sorts(browser: Chromium, pages: Path):
    browser.open(pages / "penguins.html")
    column = "[...document.querySelectorAll('#all-numbers tbody tr')].map(r => r.cells[5].dataset.value ?? null)"
    head = "#all-numbers th:nth-child(6) button"
    browser.point_at(head)
    assert "bits" in browser.value(f"{TIP}.textContent")
    for direction, name in ((1, "ascending"), (-1, "descending")):
        browser.press(head)
        values = browser.value(column)
        known = [float(value) for value in values if value is not None]
        assert known == sorted(known, reverse=direction < 0)
        assert len(known) == 6 and values[6:] == [None] * 3
        assert browser.value(f"document.querySelector('{head}').parentElement.ariaSort") == name


def test_choosers_change_what_is_shown(browser: Chromium, pages: Path):
    browser.open(pages / "digits.html")
    visible = "[...document.querySelectorAll('[id^={}-]')].filter(p => p.offsetHeight).map(p => p.id)"
    assert browser.value(visible.format("maps")) == ["maps-3"]
    browser.press("input[value='maps-0'] + span")
    assert browser.value(visible.format("maps")) == ["maps-0"]
    before = browser.value(visible.format("losses"))
    browser.value(
        "(() => { const s = document.getElementById('losses'); s.value = 'losses-0'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    assert browser.value(visible.format("losses")) == ["losses-0"] != before


def test_the_legend_singles_out_a_class(browser: Chromium, pages: Path):
    browser.open(pages / "penguins.html")
    browser.press("[data-only='c1']")
    bright = "[...new Set([...document.querySelectorAll('.map [data-row]:not(.dim)')].map(m => m.classList.value))]"
    assert browser.value(bright) == ["c1"]
    browser.press("[data-only='c1']")
    assert len(browser.value(bright)) == 3


def test_the_theme_follows_the_system_until_the_reader_chooses(browser: Chromium, pages: Path):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    browser.prefer("dark")
    browser.open(pages / "minimal.html")
    dark = browser.value(ground)
    browser.press("#theme")
    light = browser.value(ground)
    browser.prefer("light")
    assert (dark, light, browser.value(ground)) == ("rgb(20, 23, 27)", "rgb(251, 251, 250)", "rgb(251, 251, 250)")


def test_print_unfolds_every_panel_and_drops_the_controls(browser: Chromium, pages: Path):
    browser.open(pages / "penguins.html")
    browser.send("Emulation.setEmulatedMedia", media="print")
    hidden = "[...document.querySelectorAll('.panel')].filter(p => !p.offsetHeight).length"
    controls = "[...document.querySelectorAll('nav, .choice')].filter(p => p.offsetHeight).length"
    assert (browser.value(hidden), browser.value(controls)) == (0, 0)
    browser.resize(A4, 1000)
    assert browser.value("document.documentElement.scrollWidth") <= A4
    browser.send("Emulation.setEmulatedMedia", media="")
    assert browser.value(hidden) > 0
