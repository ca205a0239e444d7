"""``python -m algo_scalper`` is ``scalper``."""

from algo_scalper.interfaces.cli.main import main

if __name__ == "__main__":
    main()
