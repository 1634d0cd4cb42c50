"""Whether there is a Docker to work with, and the images of this project."""

import contextlib
import time

from stacklab.containers import DOCKER, IMAGES, ROOT, compose_command
from stacklab.shell import StackError, run

_BUILD_S = 600.0
_PULL_S = 120.0
BUILT = {"pabal": "Dockerfile", "pabal-proxy": "proxy/Dockerfile", "pabal-mosquitto": "mosquitto/Dockerfile"}


def why_not() -> str | None:
    """What is missing in one line, or None."""
    try:
        run(["docker", "info"], seconds=20)
        compose_command()
    except StackError as error:
        return str(error).partition("\n")[0]
    for image in IMAGES:
        with contextlib.suppress(StackError):
            run(["docker", "image", "inspect", image], seconds=20)
            continue
        try:
            run(["docker", "pull", "--quiet", image], seconds=_PULL_S)
        except StackError:
            return f"the image {image} is not here, and cannot be pulled"
    return None


def build(network: str) -> float:
    """Returns how many seconds it took. Raises: StackError."""
    begun = time.monotonic()
    for image, file in BUILT.items():
        command = [
            "docker",
            "build",
            "--network",
            network,
            "-q",
            "-t",
            image,
            "-f",
            str(DOCKER / file),
            str(ROOT),
        ]
        run(command, seconds=_BUILD_S)
    return time.monotonic() - begun
