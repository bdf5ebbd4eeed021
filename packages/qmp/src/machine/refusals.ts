import { QmpError } from '../errors.ts';

export function inProgress(): QmpError {
  return refuse("There's a migration process in progress");
}

export function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

export function nothingToPause(): QmpError {
  return refuse(
    'migrate-pause is currently only supported during postcopy-active or postcopy-recover ' +
      'state, and there is no migration',
  );
}

/** The guest was given away. */
export function isElsewhere(): QmpError {
  return refuse("Can't migrate the vm that was paused due to previous migration");
}
