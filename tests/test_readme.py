"""What the README shows is what a reader gets."""

import json
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(*arguments, folder):
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_ten_lines_print_what_is_shown(tmp_path):
    code = blocks("python")[0]
    shown = README.partition(code)[2].partition("```\n\n```\n")[2].partition("```")[0]
    assert run("-c", code, folder=tmp_path) == shown


def test_the_environment_keeps_the_contract_and_trains(tmp_path):
    (tmp_path / "myenv.py").write_text(blocks("python")[1])
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    assert "all checks passed" in run("-m", "turnwise", "check", "myenv:me/Melody-v0", folder=tmp_path)
    quick = [word for setting in ("warm_epochs=1", "steps=1", "eval_tasks=2") for word in ("--set", setting)]
    printed = run("-m", "turnwise", "train", "mine.yaml", *quick, folder=tmp_path)
    assert json.loads(printed.splitlines()[-1])["rollouts"] >= 8 * 8
