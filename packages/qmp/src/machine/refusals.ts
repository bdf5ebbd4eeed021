import { QmpError } from '../errors.ts';

export function inProgress(): QmpError {
  return refuse("There's a migration process in progress");
}

export function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}
