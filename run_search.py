"""The command line of SplitSearch; ``nas/cli/commands`` holds the commands."""

from nas.cli.commands import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
