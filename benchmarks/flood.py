"""A process with many connections that ask for one page again and again, each as soon as it has its answer.

`python -m benchmarks.flood PORT COOKIE PATH CONNECTIONS`, until its standard input is closed. Then it prints how many
answers had which status.
"""

import asyncio
import json
import re
import sys
from collections import Counter

ANSWER_HEAD = re.compile(
    rb"HTTP/1\.1 (\d{3})[^\0]*?\r\nContent-Length: (\d+)\r\n", re.IGNORECASE
)


async def main() -> None:
    port, cookie, path, connections = sys.argv[1:]
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    answers = Counter[str]()
    asking = [
        asyncio.create_task(_ask(int(port), request, answers))
        for _ in range(int(connections))
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in asking:
        task.cancel()
    print(json.dumps(answers))


async def _ask(port: int, request: bytes, answers: Counter[str]) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                writer.write(request)
                answers[await _status(reader)] += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            answers["closed"] += 1
        finally:
            writer.close()


async def _status(reader: asyncio.StreamReader) -> str:
    head = await reader.readuntil(b"\r\n\r\n")
    found = ANSWER_HEAD.match(head)
    assert found is not None, head
    await reader.readexactly(int(found[2]))
    return found[1].decode()


if __name__ == "__main__":
    asyncio.run(main())
