import os
import re
from typing import cast

import pytest

from utilities.display.frame import frame
from utilities.display.live import LiveDisplay
from utilities.display.run_status import RunStatus, ShownTrial, WorkerStatus
from utilities.display.terminal import Terminal
from utilities.trial import TrialState


def status(done: int = 30, *, workers: int = 3) -> RunStatus:
    config = {f"parameter_{i}": i for i in range(9)}
    return RunStatus(
        study="digits",
        method="gp",
        done=done,
        budget=2000,
        elapsed=48.0,
        best=ShownTrial(17, config, TrialState.COMPLETE, 0.0231),
        workers=tuple(WorkerStatus(i + 1, f"node{i // 8}", i + done, 0.5 * i) for i in range(workers)),
        recent=tuple(ShownTrial(i, config, TrialState.COMPLETE, 0.5 / i) for i in range(done, max(done - 10, 0), -1)),
    )


def rows(shown: RunStatus, width: int, height: int = 38) -> list[str]:
    return [line.plain.rstrip() for line in frame(shown, width, height)]


class Screen:
    """A terminal of few talents: prints, moves up, erases. Anything else fails the test."""

    encoding = "utf-8"

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows = [""]
        self.row = self.column = 0
        self.is_foreground = True
        self.is_clogged = self.closed = False
        self.raw = ""

    def size(self) -> os.terminal_size:
        return os.terminal_size((self.columns, self.lines))

    def foreground(self) -> bool:
        return self.is_foreground

    def clogged(self) -> bool:
        return self.is_clogged

    def close(self) -> None:
        self.closed = True

    def write(self, text: str) -> None:
        self.raw += text
        for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
            self.obey(part)

    def obey(self, part: str) -> None:
        if part == "\r":
            self.column = 0
        elif part == "\n":
            self.row += 1
            self.rows += [""] * (self.row + 1 - len(self.rows))
        elif part == "\x1b[K":
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif part == "\x1b[J":
            del self.rows[self.row + 1 :]
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif part.startswith("\x1b["):
            assert part[-1] in "Am", f"unexpected sequence {part!r}"
            self.row -= int(part[2:-1]) if part[-1] == "A" else 0
            assert self.row >= 0
        else:
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + part + line[self.column + len(part) :]
            self.column += len(part)

    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def live(screen: Screen, clock: Clock) -> LiveDisplay:
    return LiveDisplay(cast(Terminal, screen), clock)


@pytest.fixture
def _terminal_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("_terminal_environment")
class TestLive:
    @pytest.mark.parametrize("columns", [80, 160])
    @pytest.mark.parametrize("workers", [1, 1000])
    def test_frames_replace_one_another(self, columns: int, workers: int) -> None:
        screen, clock = Screen(columns, 40), Clock()
        screen.write("$ mpiexec\r\n")
        display = live(screen, clock)
        for done in (50, 30, 0, 40):
            clock.now += 1
            display.update(status(done, workers=workers))
        assert screen.shown() == ["$ mpiexec", *rows(status(40, workers=workers), columns - 1), ""]
        assert screen.column == 0
        assert max(map(len, screen.shown())) < columns
        display.close()
        assert screen.shown() == ["$ mpiexec", ""]
        assert screen.closed

    def test_the_cursor_is_never_hidden_and_the_screen_never_swapped(self) -> None:
        screen = Screen(80, 40)
        display = live(screen, Clock())
        display.update(status())
        display.close()
        assert "\x1b[?" not in screen.raw
        assert "\x1b[32m" in screen.raw

    def test_notices_stand_above_the_view(self, capsys: pytest.CaptureFixture[str]) -> None:
        screen, clock = Screen(80, 40), Clock()
        display = live(screen, clock)
        display.say("before")
        display.update(status())
        display.say("\x1b[31mred\x1b[0m [bold]x[/bold]\r\n\ttab\x9b2J\x00 end")
        assert screen.shown() == ["before", "red [bold]x[/bold] tab end", *rows(status(), 79), ""]
        display.close()
        display.close()
        display.update(status())
        display.say("after")
        assert capsys.readouterr().out == "after\n"
        assert screen.shown() == ["before", "red [bold]x[/bold] tab end", ""]

    def test_four_frames_a_second_at_most_and_one_where_only_time_passes(self) -> None:
        screen, clock = Screen(80, 40), Clock()
        display = live(screen, clock)
        drawn = {"busy": 0, "idle": 0}
        for kind in drawn:
            for call in range(1000):
                clock.now += 0.01
                before = len(screen.raw)
                display.update(status(call if kind == "busy" else 999))
                drawn[kind] += len(screen.raw) > before
        assert 38 <= drawn["busy"] <= 40
        assert 9 <= drawn["idle"] <= 10

    def test_due_agrees_with_the_throttle(self) -> None:
        clock = Clock()
        display = live(Screen(80, 40), clock)
        assert display.due(1, 0.0)
        display.update(status(1))
        assert not display.due(2, 0.0)
        clock.now += 0.26
        assert display.due(2, 0.0)

    def test_a_narrower_window_takes_more_rows_for_the_old_lines(self) -> None:
        screen, clock = Screen(160, 40), Clock()
        display = live(screen, clock)
        display.update(status(workers=0))
        wrapped = sum(2 if len(row) > 80 else 1 for row in screen.shown()[:-1])
        screen.columns, clock.now, screen.raw = 80, clock.now + 1, ""
        screen.row = wrapped
        screen.rows += [""] * 20
        display.update(status(workers=0))
        assert screen.raw.startswith(f"\x1b[{wrapped}A\r")
        assert wrapped > len(rows(status(workers=0), 159)) - 1

    def test_nothing_is_drawn_in_the_background(self) -> None:
        screen, clock = Screen(80, 40), Clock()
        display = live(screen, clock)
        display.update(status())
        screen.is_foreground, clock.now, screen.raw = False, clock.now + 1, ""
        display.update(status(31))
        assert screen.raw == ""
        display.say("notice")
        assert screen.raw == "notice\x1b[K\r\n"
        screen.is_foreground, clock.now, screen.raw = True, clock.now + 1, ""
        display.update(status(32))
        assert screen.raw.startswith("\x1b[1mdigits")

    def test_a_clogged_terminal_skips_frames(self) -> None:
        screen, clock = Screen(80, 40), Clock()
        display = live(screen, clock)
        screen.is_clogged = True
        display.update(status())
        assert screen.raw == ""

    def test_no_colours_on_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        screen = Screen(80, 40)
        live(screen, Clock()).update(status())
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.raw)
        assert "━" in screen.raw
