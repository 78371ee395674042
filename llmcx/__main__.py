"""The process: `llmcx`, and `python -m llmcx`."""

import gc


def main() -> None:
    """Run :func:`llmcx.cli.main` with a garbage collector that does not look for garbage while modules load, nor at the end.

    What is imported stays, so looking through it again and again finds nothing, and takes a fifth of a short command's time. A
    long one still collects: each time 100,000 more objects live than before.
    """
    gc.set_threshold(100_000)
    from llmcx.cli import main as run

    try:
        run()
    finally:
        gc.freeze()  # the process ends: its memory is returned as a whole


if __name__ == "__main__":
    main()
