"""The report in the browser that people have: every figure is drawn, hovering tells, nothing is wrong or cut off."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reverie import cli
from tests import reported_kinds
from tests.reported_study import write

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver"),
]
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("runs"))
    assert cli.main(["report", str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module", params=["several", "budgets", "raced", "staged"])
def other_page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = getattr(reported_kinds, request.param)(tmp_path_factory.mktemp(request.param))
    assert cli.main(["report", str(folder)]) == 0
    return folder / "report.html"


def open_page(browser: Any, page: Path, width: int, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 20_000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    from selenium.webdriver.support.ui import WebDriverWait

    drawn = "return [...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg'))"
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(drawn))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_every_figure_is_drawn_without_a_complaint(browser: Any, page: Path, width: int, scheme: str) -> None:
    check(browser, page, width, scheme)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
def test_every_figure_of_other_kinds_of_studies_is(browser: Any, other_page: Path, width: int, scheme: str) -> None:
    check(browser, other_page, width, scheme)


def check(browser: Any, page: Path, width: int, scheme: str) -> None:
    """See that all is drawn, in these colours, that nothing is cut off, and that the browser has no complaint."""
    open_page(browser, page, width, scheme)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wider = "(chart) => chart.scrollWidth > chart.clientWidth + 2"
    cut_off = f"return [...document.querySelectorAll('.chart')].filter({wider}).map((chart) => chart.id)"
    assert browser.execute_script(cut_off) == []
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(255, 255, 255)") == (scheme == "light")


def test_hovering_tells_the_trial(browser: Any, page: Path) -> None:
    open_page(browser, page, 1280, "light")
    from selenium.webdriver.support.ui import WebDriverWait

    hover = """
        const mark = document.querySelector("#chart-best-so-far .mark-symbol.role-mark path");
        const box = mark.getBoundingClientRect();
        const at = {bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2};
        for (const kind of ["pointerover", "pointermove"]) mark.dispatchEvent(new PointerEvent(kind, at));
        for (const kind of ["mouseover", "mousemove"]) mark.dispatchEvent(new MouseEvent(kind, at));
        return document.querySelector("#vg-tooltip-element.visible")?.textContent ?? "";
    """
    told = WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(hover))
    assert "trial" in told
    assert "configuration" in told
    assert "lr = " in told


def test_keyboard_and_screen_reader_reach_every_figure(browser: Any, page: Path) -> None:
    open_page(browser, page, 1280, "light")
    told = """
        return [...document.querySelectorAll('.chart')].map((chart) => [
            chart.getAttribute('role'), chart.tabIndex,
            document.getElementById(chart.getAttribute('aria-labelledby')).textContent.length > 0,
            document.getElementById(chart.getAttribute('aria-describedby')).textContent.length > 20])
    """
    assert all(entry == ["img", 0, True, True] for entry in browser.execute_script(told))
    assert browser.execute_script("return document.querySelectorAll('details summary').length") >= 6
    assert browser.find_element("css selector", "html").get_attribute("lang") == "en"
