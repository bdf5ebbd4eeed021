export { type Direction, type FrameName, type SeenFrame } from '@godwit/chaos';
export { ANSWER_BYTES, GREETING_BYTES, HELLO_BYTES } from '@godwit/chaos';
