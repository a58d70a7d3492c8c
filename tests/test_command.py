"""Commands as objectives."""

import json
import math
import sys
import textwrap
import time

import pytest
from children import evaluate, events, output, vanishes, write

from learning_objective.output_log import MOST
from utilities.trial import Trial, TrialState


def python(source: str) -> tuple[str, str, str]:
    return sys.executable, "-c", textwrap.dedent(source).replace("{", "{{").replace("}", "}}")


@pytest.mark.parametrize(
    ("printed", "value"),
    [("0.5", 0.5), ('{"objective": 0.5, "loss": 2}', 0.5), ("epoch 1\n 5e-1 \n\n", 0.5), ("50%\r100%\r0.5", 0.5)],
)
def test_last_line_of_a_command_is_its_result(command, tmp_path, printed, value):
    outcome = evaluate(command("printf", "%s", printed.replace("{", "{{").replace("}", "}}")))
    assert outcome.message == ""
    assert outcome.objective == value
    assert outcome.metrics == ({"loss": 2.0} if "loss" in printed else {})
    with (tmp_path / "trials" / "0" / "output.log").open(newline="") as log:
        assert log.read() == printed


@pytest.mark.parametrize(
    ("source", "reason", "more"),
    [
        ("raise SystemExit(3)", "the command ended with exit status 3", ""),
        ("import os; os.kill(os.getpid(), 11)", "the command was killed by signal SIGSEGV", ""),
        ("1 / 0", "the command ended with exit status 1", "ZeroDivisionError"),
        ("print('nan')", "objective returned nan", ""),
        ("print('done')", "the command's last line of output must be a number or a JSON object; got 'done'", ""),
        ("pass", "the command's last line of output must be a number or a JSON object; got ''", ""),
        ("print('[1]')", "the command's last line of output must be a number or a JSON object; got '[1]'", ""),
        ("print('{\"loss\": 1}')", "objective returned a dict without \"objective\" (it has 'loss')", ""),
    ],
)
def test_command_that_fails(command, source, reason, more):
    outcome = evaluate(command(*python(source)))
    assert outcome.state == TrialState.FAIL
    assert outcome.reason == reason
    assert more in outcome.message


def test_command_that_cannot_be_started(command):
    assert evaluate(command("no-such-program")).reason.startswith("the command cannot be started: [Errno 2]")


def test_arguments_and_environment_of_a_command(command, tmp_path):
    source = """
        import json, os, sys
        names = ("TRIAL", "SEED", "BUDGET", "FOLDER", "CONFIG")
        variables = {name: os.environ.get("REVERIE_" + name) for name in names}
        print(json.dumps([sys.argv[1:], variables, os.getcwd()]), file=sys.stderr)
        print(1)
        """
    elements = ["--lr={lr}", "--width", "{width}", "--on", "{on}", "{{lr}}", "{name} {lr}", "--gone", "{gone}", "$HOME"]
    config = {"lr": 0.1 + 0.2, "width": 8, "on": True, "name": "a b"}
    assert evaluate(command(*python(source), *elements), config, number=4, seed=9).objective == 1.0
    arguments, variables, folder = json.loads(output(tmp_path, 4).splitlines()[0])
    lr = "0.30000000000000004"
    assert arguments == [f"--lr={lr}", "--width", "8", "--on", "true", "{lr}", f"a b {lr}", "$HOME"]
    assert json.loads(variables.pop("CONFIG")) == config
    assert variables == {"TRIAL": "4", "SEED": "9", "BUDGET": None, "FOLDER": str(tmp_path / "trials" / "4")}
    assert folder == str(tmp_path / "study")


def test_script_in_the_studys_folder(command, tmp_path):
    script = write(tmp_path / "study" / "fit.sh", "#!/bin/sh\necho $REVERIE_BUDGET\n")
    script.chmod(0o755)
    for program in ("./fit.sh", "fit.sh"):
        assert evaluate(command(program), budget=0.25).objective == 0.25


def test_command_beyond_its_limit_gets_its_grace(command, tmp_path):
    source = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("saving"), time.sleep(0.2), print("saved"), sys.exit(0)))
        time.sleep(60)
        """
    outcome = evaluate(command(*python(source), timeout=0.5))
    assert outcome.reason == "exceeded trial_timeout of 0.5 s"
    assert output(tmp_path) == "saving\nsaved\n"
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    assert evaluate(command(*python(stubborn), timeout=0.5, grace=0.2)).reason == "exceeded trial_timeout of 0.5 s"


def test_stop_ends_a_command(command):
    evaluator = command(*python("import time; print(0.5, flush=True); time.sleep(600)"))
    evaluator.start(Trial(0, {}))
    time.sleep(1.0)
    evaluator.request_stop()
    outcome = events(evaluator)[-1]
    assert outcome.state == TrialState.PRUNED
    assert outcome.objective in (0.5, None)  # None where it was too slow to print


def test_lines_of_a_command_are_reports(command, tmp_path):
    source = """
        import sys
        print("REPORT 1 0.5\\nepoch 2\\rREPORT 2 0.25")
        print("REPORT x 1\\nREPORT 3\\nREPORT 3 low\\n REPORT 3 9\\nREPORT 3 9 9\\nREPORTS 4 1")
        print("REPORT 99999999999999999999 1")
        print("REPORT  3\\tnan ")
        for part in ("REP", "ORT 4 ", "1e-3", "\\n"):
            print(part, end="", flush=True)
        print(0.125)
        """
    evaluator = command(*python(source))
    evaluator.start(Trial(0, {}))
    *reports, outcome = events(evaluator)
    assert [(report.step, report.value) for report in reports[:2] + reports[3:]] == [(1, 0.5), (2, 0.25), (4, 1e-3)]
    assert (reports[2].step, math.isnan(reports[2].value)) == (3, True)
    assert outcome.objective == 0.125


def test_a_command_that_stops_after_a_report_is_pruned(command):
    """SIGTERM ends it between two reports: its last line is no result, and none is needed."""
    source = "import time\nfor i in range(600): print('REPORT', i, 0.5, flush=True); time.sleep(0.05)"
    evaluator = command(*python(source))
    evaluator.start(Trial(0, {}))
    while (event := evaluator.poll(5.0)) is None or event.step < 2:
        pass
    evaluator.request_stop()
    begun = time.monotonic()
    *_, outcome = events(evaluator)
    assert (outcome.state, outcome.objective, outcome.message) == (TrialState.PRUNED, None, "")
    assert time.monotonic() - begun < 1.0


def test_command_that_leaves_a_process_behind_does_not_hang(command, tmp_path):
    evaluator = command("sh", "-c", "sleep 600 & echo $! >&2; echo 1.5")
    begun = time.monotonic()
    assert evaluate(evaluator).objective == 1.5
    assert time.monotonic() - begun < 5.0
    evaluator.close()
    assert vanishes(int(output(tmp_path).split()[0]))


def test_command_that_floods(command, tmp_path):
    source = "import os, sys\nfor _ in range(800): os.write(1, b'flood! ' * 9363)\nprint()\nprint(0.25)"
    assert evaluate(command(*python(source))).objective == 0.25
    assert (tmp_path / "trials" / "0" / "output.log").stat().st_size <= MOST
