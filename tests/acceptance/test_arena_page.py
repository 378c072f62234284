"""The Arena in a real browser: it loads, shows fights that bots play, and can be used by everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import DESK, PHONE, Look, chromium, looking, needed_chromium
from patience import WaitUntil
from playwright.sync_api import Browser

from superhero.ops.claims import claimed_database
from superhero.ops.processes import Process, Processes, celery_argv, project_root, superhero_argv

pytestmark = pytest.mark.acceptance

CONTROL = "control-of-this-test"
SECRET = "a-secret-of-this-test"
FIGHTS = "document.querySelectorAll('.fight').length >= 2"
LIVE = "document.body.dataset.state === 'live'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give the module a browser."""
    with chromium(needed_chromium()) as running:
        yield running


def serve(processes: Processes, folder: Path, redis_url: str, **environ: str) -> str:
    """Start a server, with a pipeline if there is a BROKER_URL, and return its host and port."""
    argv = superhero_argv("serve", "--port", "0", *(() if "BROKER_URL" in environ else ("--no-pipeline",)))
    server = processes.start("server", argv, {**environ, "REDIS_URL": redis_url}, folder / "server.log")
    return server.wait_for_line(r"the Arena is on http://(\S+)/")[1]


def play(processes: Processes, folder: Path, origin: str, players: int = 8) -> Process:
    """Let bots play on a server."""
    argv = superhero_argv("play", "--players", str(players), "--forever", "--url", f"ws://{origin}")
    return processes.start("bots", argv, None, folder / "bots.log")


@pytest.fixture(scope="module")
def origin(_redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the module a server on which bots play."""
    folder = tmp_path_factory.mktemp("arena")
    with claimed_database(_redis_server) as redis_url, Processes() as processes:
        address = serve(processes, folder, redis_url, ARENA_CONTROL=CONTROL)
        play(processes, folder, address)
        yield address


def test_the_page_shows_fights_that_bots_play_and_nothing_goes_wrong(browser: Browser, origin: str) -> None:
    with looking(browser, origin) as look:
        look.wait_for(f"{LIVE} && {FIGHTS}")
        look.wait_for("document.querySelectorAll('.fight.over .won').length >= 1")
        look.wait_for("document.querySelectorAll('.fall').length >= 1")
        look.wait_for("document.querySelectorAll('#leader-rows tr').length >= 8")
        fighters = look.page.locator(".fighter .hero b").all_inner_texts()
        assert fighters and not any("undefined" in name or name.startswith("Hero ") for name in fighters)
        assert " felled " in look.text(".fall >> nth=0")
        assert int(look.text("#games-per-minute").replace(",", "").partition(".")[0]) > 0
        look.wait_for("document.querySelector('#viewers').textContent === '1'")
        look.wait_for("document.querySelector('#said').textContent.includes('games a minute')")
        assert "No pipeline data" in look.text("#no-pulse") and not look.page.is_visible("#pulse")
        assert look.wrong == []


def test_no_name_or_token_of_a_user_stands_on_the_page(browser: Browser, origin: str) -> None:
    with looking(browser, origin) as look:
        look.wait_for(f"{FIGHTS} && document.querySelectorAll('#leader-rows tr').length >= 8")
        page = look.page.content()
        assert "bot-" not in page
        assert not re.findall(r"\b[0-9a-f]{32}\b", page)


@pytest.mark.parametrize("width", [320, 390, 600, 768, 1024, 1440, 2200])
def test_nothing_is_scrolled_sideways_at_any_width(browser: Browser, origin: str, width: int) -> None:
    with looking(browser, origin, size=(width, 844)) as look:
        look.wait_for(f"{FIGHTS} && document.querySelectorAll('#leader-rows tr').length >= 8")
        assert look.overflow() <= 0
        assert look.wrong == []


def test_dark_and_light_are_as_the_visitor_has_them(browser: Browser, origin: str) -> None:
    def lightness(scheme: str) -> int:
        with looking(browser, origin, scheme=scheme) as look:
            colour = look.page.evaluate("getComputedStyle(document.body).backgroundColor")
            return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert lightness("dark") < 150 < 600 < lightness("light")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_barrier_is_found(browser: Browser, origin: str, scheme: str, size: tuple[int, int]) -> None:
    with looking(browser, origin, scheme=scheme, size=size, reduced_motion="reduce") as look:
        look.wait_for(f"{FIGHTS} && document.querySelectorAll('.fall').length >= 1")
        find_barriers(look)


def find_barriers(look: Look) -> None:
    """Stop the page's motion and search it for barriers."""
    look.page.click("#pause")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(look.page, options={"runOnly": tags})
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.rabbitmq
def test_the_pipeline_stands_beside_the_fights(
    browser: Browser, broker_url: str, redis_url: str, processes: Processes, tmp_path: Path
) -> None:
    services = {"BROKER_URL": broker_url, "REDIS_URL": redis_url, "OUTPUT_DIR": str(tmp_path / "data")}
    address = serve(processes, tmp_path, redis_url, FLOWER_URL="http://127.0.0.1:5555", **services)
    argv = celery_argv("worker", "--concurrency", "1", "--loglevel", "INFO")
    worker = processes.start("worker", argv, services, tmp_path / "worker.log", project_root())
    worker.wait_for_line(r" ready\.", 60)
    play(processes, tmp_path, address, players=4)
    with looking(browser, address, reduced_motion="reduce") as look:
        look.wait_for(f"{LIVE} && !document.querySelector('#pulse').hidden", 30)
        look.wait_for("parseFloat(document.querySelector('#out-rate').innerText) > 0", 30)
        look.wait_for("document.querySelectorAll('#workers .gauge').length === 1")
        assert look.text("#verdict").lower() == "0 lost, 0 doubled"
        assert "superhero.game" in look.text("#queues")
        assert look.page.locator("#chart canvas").count() == 1
        assert look.page.get_attribute("#flower", "href") == "http://127.0.0.1:5555"
        find_barriers(look)
        assert look.overflow() <= 0
        assert look.wrong == []


def test_everything_is_reached_and_worked_by_keyboard(browser: Browser, origin: str) -> None:
    with looking(browser, origin, size=PHONE) as look:
        look.wait_for("document.querySelectorAll('.fight').length >= 5")
        reached = []
        for _ in range(20):
            look.page.keyboard.press("Tab")
            reached.append(
                look.page.evaluate("document.activeElement.id || document.activeElement.className")
            )
            if reached[-1] == "bots-stop":
                break
            assert look.page.evaluate(
                "(() => { const s = getComputedStyle(document.activeElement);"
                " return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 })()"
            ), f"{reached[-1]} does not show that it has the focus"
        wanted = ["skip", "pause", "all-fights", "bots-players", "bots-secret", "bots-stop"]
        assert [each for each in reached if each in wanted] == wanted
        look.page.focus("#all-fights")
        look.page.keyboard.press("Enter")
        assert look.page.get_attribute("#all-fights", "aria-expanded") == "true"
        assert look.page.locator(".fight:visible").count() >= 5


def test_a_pause_stops_the_motion_and_it_goes_on_from_there(browser: Browser, origin: str) -> None:
    with looking(browser, origin) as look:
        look.wait_for(f"{LIVE} && {FIGHTS}")
        look.page.click("#pause")
        assert look.text("#state") == "Paused"
        before = look.page.inner_text("#arena")
        look.page.evaluate("new Promise((done) => setTimeout(done, 700))")
        assert look.page.inner_text("#arena") == before
        look.page.click("#pause")
        look.wait_for(f"{LIVE} && document.querySelector('#arena').innerText !== {before!r}")


def test_a_fight_faster_than_it_can_be_played_is_shown_as_it_is_and_no_fall_is_missed(
    browser: Browser, origin: str
) -> None:
    with looking(browser, origin) as look:
        look.wait_for(f"{LIVE} && {FIGHTS}")
        look.page.click("#pause")  # what follows is the only news
        turn, down = look.page.evaluate(
            """async () => {
                const { play, showFights } = await import("/arena/fights.js");
                const fighters = ["a", "b", "c"].map((user) => ({ user, hero: user, health: 5, full: 5 }));
                const told = { game: "f".repeat(32), size: 3, standing: 2, over: false, fighters };
                for (let turn = 24; turn <= 960; turn += 24) {
                    const blows = [...Array(24).keys()].map((at) => [turn - 23 + at, "a", "b", 1, 4]);
                    if (turn === 240) blows[0] = [turn - 23, "a", "c", 5, 0];
                    showFights([{ ...told, turn, blows }]);
                }
                const word = document.querySelector(".fight .fight-top .turn");
                for (const before = word.textContent; word.textContent === before; play())
                    await new Promise(requestAnimationFrame);
                return [word.textContent, document.querySelectorAll(".fight .fighter.down").length];
            }"""
        )
        assert int(turn.removeprefix("attack ")) >= 960 - 28
        assert down == 1
        assert look.wrong == []


def test_nothing_moves_for_who_wants_less_motion(browser: Browser, origin: str) -> None:
    with looking(browser, origin, reduced_motion="reduce") as look:
        look.wait_for("document.querySelectorAll('.fighter.struck').length >= 1")
        assert look.page.evaluate("document.getAnimations().length") == 0


def test_bots_are_let_in_and_stopped_from_the_page(
    browser: Browser, redis_url: str, processes: Processes, tmp_path: Path, wait_until: WaitUntil
) -> None:
    address = serve(processes, tmp_path, redis_url, ARENA_CONTROL=CONTROL, SERVER_SECRET=SECRET)
    with looking(browser, address) as look:
        look.wait_for("document.body.dataset.state === 'locked'")
        assert not look.page.is_visible("#arena")
        enter(look, "not-the-secret-of-it")
        look.wait_for("document.querySelector('#door-word').innerText.includes('not the secret')")
        enter(look, SECRET)
        look.wait_for(LIVE)
        look.page.fill("#bots-players", "4")
        look.page.fill("#bots-secret", "not-the-secret-of-it")
        look.page.press("#bots-secret", "Enter")
        look.wait_for("document.querySelector('#bots-word').innerText.includes('not the secret')")
        look.page.fill("#bots-secret", CONTROL)
        look.page.press("#bots-secret", "Enter")
        look.wait_for(f"document.querySelector('#bots-playing').innerText === '4' && {FIGHTS}")
        look.page.click("#bots-stop")
        look.wait_for("document.querySelector('#bots-playing').innerText === '0'", 30)
        everything = look.page.content() + look.page.url + repr(look.page.context.cookies())
        assert CONTROL not in everything and SECRET not in everything
        assert look.page.evaluate("localStorage.length + sessionStorage.length") == 0
    logs = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.log"))
    assert CONTROL not in logs and SECRET not in logs


def enter(look: Look, secret: str) -> None:
    """Show the door a secret."""
    look.page.fill("#door-secret", secret)
    look.page.press("#door-secret", "Enter")


def test_the_page_comes_back_with_its_server(
    browser: Browser, redis_url: str, processes: Processes, tmp_path: Path
) -> None:
    address = serve(processes, tmp_path, redis_url)
    with looking(browser, address) as look:
        look.wait_for(LIVE)
        processes.stop()
        look.wait_for("document.body.dataset.state === 'connecting'")
        argv = superhero_argv("serve", "--port", address.rpartition(":")[2], "--no-pipeline")
        again: dict[str, Any] = {"env": {"REDIS_URL": redis_url}, "log_path": tmp_path / "again.log"}
        processes.start("server", argv, **again).wait_for_line("listening on")
        look.wait_for(LIVE, 30)
