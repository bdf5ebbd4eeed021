import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { machineEvents } from '../src/machine/machine-events.ts';
import { MachineFixture } from './machine-fixture.ts';

const text = readFileSync(new URL('../../../docs/QMP.md', import.meta.url), 'utf8');

/** What stands under each heading of a command, by its name. */
const sections = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [, name = '', body = ''] = /^`([^`]+)`\n([^]*)$/.exec(section) ?? [];
      return [name, body.split(/^## /m, 1)[0] ?? ''];
    }),
);

test('docs/QMP.md describes every command that there is, and no other', async () => {
  await using it = await MachineFixture.open();
  const commands = (await it.execute('query-commands')) as { name: string }[];
  const names = commands.map(({ name }) => name);
  expect([...sections.keys()].toSorted()).toEqual(names.toSorted());
});

test.each([...sections])('docs/QMP.md shows %s, asked for and answered', (name, body) => {
  const requests = [...body.matchAll(/^[AB] -> .*"(?:execute|exec-oob)": "([^"]+)"/gm)];
  expect(requests.map(([, command]) => command)).toContain(name);
  expect(body).toMatch(/^[AB] <- \{"return"/m);
});

test('docs/QMP.md describes every event', () => {
  const [, events = ''] = text.split(/^## Events$/m);
  for (const name of Object.keys(machineEvents)) expect(events).toContain(`| \`${name}\` |`);
});

test('docs/QMP.md describes every argument of every command', async () => {
  await using it = await MachineFixture.open();
  const infos = (await it.execute('query-qmp-schema')) as {
    name: string;
    'arg-type'?: string;
    'meta-type': string;
    members?: { name: string }[];
  }[];
  const missing = infos
    .filter((info) => info['meta-type'] === 'command')
    .flatMap((command) => {
      const args = infos.find(({ name }) => name === command['arg-type'])?.members ?? [];
      const body = sections.get(command.name) ?? '';
      const absent = args.filter(
        ({ name }) => !body.includes(`\`${name}\``) && !body.includes(`"${name}"`),
      );
      return absent.map(({ name }) => `${command.name}: ${name}`);
    });
  expect(missing).toEqual([]);
});
