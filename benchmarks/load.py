"""HTTP load by wrk: one thread, 16 connections, on loopback."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import click

CONNECTIONS = 16
TIMEOUT = 60
"""Seconds: whoever counts a million rows sixteen times at once takes some of them."""

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_READ = re.compile(r"requests in .*, ([\d.]+)([KMG]?)B read")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


_REQUESTS = re.compile(r"^\s+(\d+) requests in", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answers, answers a second, and milliseconds that half and 99 of 100 took.

    `read` is how many bytes came, the last answers cut off among them, to three digits.
    """

    requests: int
    read: float
    rate: float
    p50: float
    p99: float


async def run_wrk(url: str, headers: Mapping[str, str], seconds: float) -> Load:
    """Ask for `url` as fast as the answers come; raises ClickException for any bad answer.

    Whoever has not answered once by then is given more time.
    """
    load = await _run(url, headers, seconds)
    while not load.requests:
        seconds = 4 * max(1, seconds)
        if seconds > TIMEOUT:
            raise click.ClickException(f"{url}: nothing was answered in {seconds / 4:.0f} s")
        load = await _run(url, headers, seconds)
    return load


async def _run(url: str, headers: Mapping[str, str], seconds: float) -> Load:
    program = shutil.which("wrk")
    if program is None:
        raise click.ClickException("wrk is not installed; on Debian: apt-get install wrk")
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    connections = str(CONNECTIONS)
    process = await asyncio.create_subprocess_exec(
        program, "-t1", "-c", connections, "-d", f"{max(1, round(seconds))}s", "--latency",
        "--timeout", f"{TIMEOUT}s", *given, url, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    if process.returncode or "Non-2xx" in output or "Socket errors" in output:
        raise click.ClickException(f"wrk {url}: {output}")
    return _read(output)


def _read(output: str) -> Load:
    requests, read, rate = (one.search(output) for one in (_REQUESTS, _READ, _RATE))
    latency = {share: float(n) * _MS[unit] for share, n, unit in _LATENCY.findall(output)}
    if requests is None or read is None or rate is None or set(latency) != {"50", "99"}:
        raise click.ClickException(f"wrk said something else: {output}")
    size = float(read[1]) * _UNITS[read[2]]
    return Load(int(requests[1]), size, float(rate[1]), latency["50"], latency["99"])
