import { join } from 'node:path';

export interface QemuPlan {
  readonly memoryBytes: number;
  /** Every page of RAM touched before the monitor answers. */
  readonly preallocate: boolean;
  /** Waits for a migration instead of booting. */
  readonly incoming: boolean;
  /** The disk with the guest; the destination has the same devices and thus the same disk. */
  readonly image: string;
  /** Where it listens for QMP. */
  readonly monitor: string;
}

/** A PC with nothing in it that is not needed: each device would be state to migrate. */
export function qemuArguments(plan: QemuPlan): string[] {
  const size = `${plan.memoryBytes / 2 ** 20}M`;
  const preallocation = plan.preallocate ? ',prealloc=on' : '';
  const options: Record<string, string | readonly string[]> = {
    machine: 'pc,memory-backend=ram',
    accel: ['kvm', 'tcg'], // the first one that there is
    smp: '1',
    m: size,
    object: `memory-backend-ram,id=ram,size=${size}${preallocation}`,
    display: 'none',
    vga: 'none',
    drive: `if=floppy,format=raw,readonly=on,file=${escapeOption(plan.image)}`,
    boot: 'order=a',
    debugcon: 'stdio',
    qmp: `unix:${escapeOption(plan.monitor)},server=on,wait=off`,
  };
  const named = Object.entries(options).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [`-${name}`, value]),
  );
  const incoming = plan.incoming ? ['-incoming', 'defer'] : [];
  return ['-nodefaults', '-no-user-config', '-no-reboot', ...named, ...incoming];
}

/** The address of a destination, as `migrate` and `migrate-incoming` take it. */
export function migrationUri(transport: 'unix' | 'tcp', directory: string, name: string): string {
  return transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${join(directory, name)}`;
}

/** In an option a comma ends the value, two are one. */
function escapeOption(value: string): string {
  return value.replaceAll(',', ',,');
}
