"""``python -m benchmarks.regret COMMAND``: see --help and README.md."""

from benchmarks.regret.command_line import main

if __name__ == "__main__":
    main()
