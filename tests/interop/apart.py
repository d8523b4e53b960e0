"""Other packages, in an environment of their own, which ours is nowhere near."""

import os
import subprocess


def run_apart(python, script, *arguments):
    """Run a script with another Python and return what it prints."""
    done = subprocess.run(
        [python, "-E", "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
