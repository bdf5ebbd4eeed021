export { fuzz, type Finding, type FuzzOptions, type FuzzResult } from './fuzz.ts';
export type { Plan } from './plan.ts';
