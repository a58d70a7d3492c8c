"""Scripts that complete the command in a shell: bash really runs one."""

import shutil
import subprocess

import pytest

from reverie.cli import VERBS, main

pytest.importorskip("shtab")


@pytest.fixture(scope="module")
def script() -> str:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["completion", "bash"]) == 0
    return out.getvalue()


def completed(script: str, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    quoted = " ".join(f"'{word}'" for word in ("reverie", *words))
    ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _shtab_reverie; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    run = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60)
    return set(run.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], set(VERBS)),
        (["st"], {"status", "stop"}),
        (["export", "--to", ""], {"csv", "parquet", "optuna", "tensorboard", "mlflow-files"}),
        (["best", "-f", ""], {"toml", "json", "args"}),
        (["run", "--budg"], {"--budget"}),
        (["init", "--preset", "torch"], {"torch-mlp", "torch-cnn"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(script: str, words: list[str], offered: set[str]) -> None:
    assert completed(script, *words) >= offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_theirs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)
