export { type CutOptions, LinkProxy } from '@godwit/chaos';
