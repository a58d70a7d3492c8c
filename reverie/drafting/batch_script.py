"""The text of a job script for Slurm: resources, ranks, and what becomes of the job when it is stopped."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from utilities.display.text import counted, duration, listed

_RESUMABLE = 75


@dataclass(frozen=True)
class Layout:
    """Where the ranks are.

    Attributes
    ----------
    nodes
        Number of nodes.
    per_node
        Ranks on each.
    leading
        The master and the trainers: the first ranks of the first node.
    together
        Ranks that evaluate a trial together.
    apart
        Whether the leading ranks come on top of `per_node`, or are among these.
    """

    nodes: int
    per_node: int
    leading: int
    together: int = 1
    apart: bool = False

    @property
    def ranks(self) -> int:
        """All of them."""
        return self.nodes * self.per_node + (self.leading if self.apart else 0)

    @property
    def workers(self) -> int:
        """How many trials run at a time."""
        return (self.ranks - self.leading) // self.together

    @property
    def listed(self) -> bool:
        """Whether the ranks of each node must be listed: the first one has more than others."""
        return self.apart and self.nodes > 1

    def told(self) -> str:
        """``18 ranks on 4 nodes: a master, a trainer, 16 workers``."""
        trainers = self.leading - 1
        trained = "" if not trainers else "a trainer" if trainers == 1 else f"{trainers} trainers"
        workers = counted(self.workers, "worker") + (f" of {self.together} ranks" if self.together > 1 else "")
        parts = listed(["a master", trained, workers])
        return f"{counted(self.ranks, 'rank')} on {counted(self.nodes, 'node')}: {parts}"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a job script asks for.

    Attributes
    ----------
    name
        Of the job.
    command
        What each rank runs.
    layout
        Where the ranks are.
    cores
        Of each rank.
    gpus
        Of each node; None where none is asked for.
    seconds
        Limit of one life of the job.
    lead
        Seconds before that limit at which the run is told to end.
    grace
        Seconds that running trials then get.
    wanted
        Further options of sbatch.
    mpi
        Kind of MPI, as of ``srun --mpi``.
    folder
        Working folder of the job.
    environment
        Virtual environment of the ranks; None where that is not known.
    """

    name: str
    command: list[str]
    layout: Layout
    cores: int
    gpus: int | None
    seconds: float
    lead: int
    grace: float
    wanted: dict[str, str] = field(default_factory=dict)
    mpi: str
    folder: str
    environment: str | None


def script(request: Request) -> str:
    """Job script, with a comment beside what is not plain."""
    return "\n".join([*_head(request), "", *_environment(request), "", *_run(request), "", *_end()]) + "\n"


def _head(request: Request) -> list[str]:
    layout = request.layout
    why = "cores for those of the first node" if layout.listed else ""
    return [
        "#!/bin/bash",
        "# A study in one job that Slurm may stop and start again until the study is through; submit it with sbatch.",
        "# Written by `reverie slurm`.",
        f"# {layout.told()}.",
        _option("job-name", request.name),
        _option("chdir", request.folder),
        _option("nodes", layout.nodes),
        _option("ntasks-per-node", layout.per_node + (layout.leading if layout.apart else 0), why),
        _option("cpus-per-task", request.cores),
        *([] if request.gpus is None else [_option("gpus-per-node", request.gpus)]),
        _option("time", _clock(request.seconds)),
        _option(
            "signal",
            f"USR1@{request.lead}",
            f"to the ranks, before the limit: more than grace, which is {duration(request.grace)}",
        ),
        _option("requeue", None, "after a preemption, or where a node dies"),
        _option("open-mode", "append", "one log for all lives of the job"),
        _option("output", "%x-%j.log"),
        *(_option(name, value) for name, value in request.wanted.items()),
    ]


def _environment(request: Request) -> list[str]:
    if request.environment is None:
        told = "# The environment in which Reverie is installed, where it is not active as you submit:"
        return [told, "# source ..."]
    return [
        "# The environment in which this script was written.",
        f"source {shlex.quote(request.environment + '/bin/activate')}",
    ]


def _run(request: Request) -> list[str]:
    layout = request.layout
    words = ["srun", f"--mpi={request.mpi}", "--wait=60", f"--cpus-per-task={request.cores}"]
    lines: list[str] = []
    if layout.listed:
        lines = [
            f"# The node of each rank, in order: the first {layout.leading} lead, on the first node with its workers.",
            "SLURM_HOSTFILE=$(mktemp) && export SLURM_HOSTFILE",
            "trap 'rm -f \"$SLURM_HOSTFILE\"' EXIT",
            'mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")',
            "{",
            f'    for ((i = 0; i < {layout.leading}; i++)); do echo "${{nodes[0]}}"; done',
            '    for node in "${nodes[@]}"; do',
            f'        for ((i = 0; i < {layout.per_node}; i++)); do echo "$node"; done',
            "    done",
            '} > "$SLURM_HOSTFILE"',
            "unset SLURM_NTASKS_PER_NODE",
            "",
        ]
        words += ["--distribution=arbitrary", f"--ntasks={layout.ranks}"]
    return [
        *lines,
        "# MPICH: --mpi=pmi2. Open MPI: --mpi=pmix. `srun --mpi=list` shows what your Slurm has.",
        "# --wait: where a rank dies, the others are ended a minute later, and do not keep the job to its time limit.",
        f"{shlex.join([*words, *request.command])}",
        "status=$?",
    ]


def _end() -> list[str]:
    return [
        f"# {_RESUMABLE}: it was told to end, and can be continued: the job waits for its turn, and goes on.",
        f'if [ "$status" -eq {_RESUMABLE} ]; then',
        '    echo "run $((${SLURM_RESTART_COUNT:-0} + 1)) of this job stopped early; it is queued again"',
        '    scontrol requeue "$SLURM_JOB_ID"',
        "fi",
        'exit "$status"',
    ]


def _option(name: str, value: object, comment: str = "") -> str:
    text = f"#SBATCH --{name}" + ("" if value is None else f"={_quoted(str(value))}")
    return f"{text:<42} # {comment}" if comment else text


def _quoted(value: str) -> str:
    """`value` as sbatch takes it: in quotes where there are spaces."""
    return f'"{value}"' if " " in value else value


def _clock(seconds: float) -> str:
    """A time as Slurm has it: ``08:00:00``, ``1-12:00:00``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour:02}:{minute:02}:{second:02}"
    return f"{days}-{clock}" if days else clock
