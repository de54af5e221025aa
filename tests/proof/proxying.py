"""The proxy to PostgreSQL as a process of its own: stopped by a signal, it is silent to all.

    python -m proof.proxying URL

It prints its own URL, and then does what each line of its standard input says: `commit NAME`
(the next COMMIT meets that fault; `met` is printed when it has), `cut`.
"""

import asyncio
import sys

import uvloop

from proxy import Fault, Proxy, proxied


async def obey(proxy: Proxy, line: str) -> None:
    order, _, name = line.strip().partition(" ")
    if order == "commit":
        proxy.at_commit(Fault[name])
        await proxy.met.wait()
        say("met")
    elif order == "cut":
        proxy.cut()
        say("cut")
    else:
        raise ValueError(line)


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    async with proxied(url) as proxy:
        say(proxy.url)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await obey(proxy, line)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
