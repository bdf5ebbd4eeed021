#!/usr/bin/env python3
"""
A whole postcopy with recovery, driven by QEMU's own QMP client, against two `godwit guest` processes.

    qmp_session.py client     every command by qemu.qmp.QMPClient, out of band where that matters
    qmp_session.py shell      every command typed into qmp-shell; QMPClient only listens for events

Prints the transcript; whatever goes wrong is a traceback and exit code 1. Exit code 77: QEMU's client
is not installed here. It is found where Python finds `qemu.qmp`, or in the folder that
GODWIT_QEMU_PYTHON names, such as `python/` of QEMU's source (fetch_qemu_qmp.sh gets it from Debian's).
"""

import asyncio
import json
import os
import pathlib
import sys
import tempfile

if os.environ.get('GODWIT_QEMU_PYTHON'):
    sys.path.insert(0, os.environ['GODWIT_QEMU_PYTHON'])
try:
    from qemu.qmp import EventListener, ExecuteError, QMPClient
except ImportError as error:
    print(f"skipped: QEMU's Python client is not installed here ({error}); "
          'GODWIT_QEMU_PYTHON=FOLDER names where the package qemu lies', file=sys.stderr)
    sys.exit(77)

GODWIT = pathlib.Path(__file__).parents[2] / 'packages/cli/bin/godwit.js'
LIMIT_SECONDS = 30

# Slow enough that pages are still missing when the link is cut.
GUEST = ['--memory', '32M', '--workload', 'random', '--rate', '500', '--seed', '7']
CRAWL = {'max-bandwidth': 20_000_000, 'downtime-limit': 0, 'max-postcopy-bandwidth': 100_000}


class Side:
    """One guest process, and a client of its own that listens for its events."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.watcher = QMPClient(f'watcher of {name}')
        self.events = EventListener(('MIGRATION', 'STOP', 'RESUME'))
        self.process: asyncio.subprocess.Process

    async def start(self, *arguments: str) -> None:
        command = ['guest', '--name', self.name, *GUEST, '--qmp', f'unix:{self.name}.qmp', *arguments]
        print('$ godwit', *command, '&')
        self.process = await asyncio.create_subprocess_exec(
            'node', str(GODWIT), *command, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()  # it listens now
        print(line.decode().rstrip())
        await self.watcher.connect(f'{self.name}.qmp')
        self.watcher.register_listener(self.events)

    async def until(self, wanted: str) -> None:
        """Shows each event up to the one that is waited for."""
        while True:
            event = await self.events.get()
            shown = event['event'] + ''.join(f' {value}' for value in event.get('data', {}).values())
            print(f'    {self.name}: {shown}')
            if shown == wanted:
                return

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class Client:
    """Commands by QMPClient.execute."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.qmp = QMPClient(side.name)

    async def connect(self) -> None:
        await self.qmp.connect(f'{self.side.name}.qmp')
        greeting = self.qmp.greeting
        assert greeting is not None
        print(f'{self.side.name}: greeting {json.dumps(greeting._asdict())}')

    async def do(self, command: str, arguments: object = None, oob: bool = False) -> object:
        how = 'exec-oob' if oob else 'execute'
        words = [how, command] + ([] if arguments is None else [json.dumps(arguments)])
        print(f'{self.side.name}>', *words)
        try:
            answer = await self.qmp.execute(command, arguments, oob=oob)
        except ExecuteError as error:
            print(f'{self.side.name}< error {error.error.class_}: {error.error.desc}')
            return error
        print(f'{self.side.name}< {json.dumps(answer)}')
        return answer

    async def close(self) -> None:
        await self.qmp.disconnect()


class Shell:
    """Commands typed into qmp-shell, whose answers are shown as it prints them."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.process: asyncio.subprocess.Process

    async def connect(self) -> None:
        socket = f'{self.side.name}.qmp'
        print(f'$ qmp-shell {socket}')
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, '-u', '-m', 'qemu.qmp.qmp_shell', socket,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, 'HOME': os.getcwd(), 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
        print(await self._prompt(), end='')

    async def do(self, command: str, arguments: object = None, oob: bool = False) -> object:
        """qmp-shell knows no exec-oob: all goes in band."""
        words = [command]
        for name, value in (arguments or {}).items():  # type: ignore[attr-defined]
            word = value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))
            words.append(f'{name}={word}')
        assert self.process.stdin is not None
        print(f'({self.side.name}) {" ".join(words)}')
        self.process.stdin.write(' '.join(words).encode() + b'\n')
        answer = await self._prompt()
        print(answer, end='')
        return json.loads(answer).get('return')

    async def _prompt(self) -> str:
        """All that it prints before it asks for the next command."""
        assert self.process.stdout is not None
        text = await self.process.stdout.readuntil(b'(QEMU) ')
        return text.decode().removesuffix('(QEMU) ')

    async def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()  # Ctrl-D
        await self.process.wait()


class Relay:
    """Stands between the two guests, so that there is a link to cut."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.server: asyncio.AbstractServer | None = None

    async def start(self, listen: str, target: str) -> None:
        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while chunk := await reader.read(1 << 16):
                    writer.write(chunk)
                    await writer.drain()
            except ConnectionError:
                pass  # cut
            writer.close()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, thence = await asyncio.open_unix_connection(target)
            self.writers += [writer, thence]
            await asyncio.gather(forward(reader, thence), forward(there, writer))

        self.server = await asyncio.start_unix_server(accept, listen)

    def cut(self) -> None:
        if self.server is not None:
            self.server.close()
        for writer in self.writers:
            writer.transport.abort()


async def session(driver: type) -> None:
    """Start, capabilities, migrate, postcopy, the link breaks, recovery, completed, proof."""
    a, b = Side('a'), Side('b')
    relay = Relay()
    try:
        await b.start('--incoming', 'defer')
        await a.start('--paused')
        source, destination = driver(a), driver(b)
        await source.connect()
        await destination.connect()
        capabilities = {'capabilities': [
            {'capability': name, 'state': True} for name in ('events', 'postcopy-ram')]}
        await source.do('migrate-set-capabilities', capabilities)
        await destination.do('migrate-set-capabilities', capabilities)
        await source.do('migrate-set-parameters', CRAWL)
        await source.do('cont')
        await a.until('RESUME')
        await destination.do('migrate-incoming', {'uri': 'unix:b.mig'})
        await b.until('MIGRATION setup')
        await relay.start('relay.mig', 'b.mig')
        await source.do('migrate', {'uri': 'unix:relay.mig'})
        await a.until('MIGRATION active')
        await source.do('migrate-start-postcopy')
        await a.until('MIGRATION postcopy-active')
        await b.until('RESUME')
        if driver is Client:
            print('# the link is cut')
            relay.cut()
        else:
            await source.do('migrate-pause')
        await a.until('MIGRATION postcopy-paused')
        await b.until('MIGRATION postcopy-paused')
        await source.do('query-status')
        await destination.do('query-status')
        await destination.do('migrate-recover', {'uri': 'unix:b2.mig'}, oob=True)
        await source.do('migrate', {'uri': 'unix:b2.mig', 'resume': True})
        await a.until('MIGRATION postcopy-active')
        await b.until('MIGRATION postcopy-active')
        await source.do('migrate-set-parameters', {'max-postcopy-bandwidth': 0})
        await a.until('MIGRATION completed')
        await b.until('MIGRATION completed')
        await source.do('query-status')
        await destination.do('stop')
        proof = await destination.do('x-guest-verify')
        assert isinstance(proof, dict) and proof['ok'], proof
        await source.close()
        await destination.close()
        for side in (a, b):
            await side.watcher.execute('quit')
            assert await side.process.wait() == 0
            try:
                await side.watcher.disconnect()
            except EOFError:
                pass  # the process went first
    finally:
        relay.cut()
        for side in (a, b):
            await side.end()


def main() -> None:
    drivers = {'client': Client, 'shell': Shell}
    driver = drivers[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix='godwit-') as directory:
        os.chdir(directory)
        asyncio.run(asyncio.wait_for(session(driver), LIMIT_SECONDS))


main()
