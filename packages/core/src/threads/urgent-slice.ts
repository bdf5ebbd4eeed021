/**
 * The time slice of the threads that a waiting guest waits for: fault, return-path and urgent
 * receiver. They need some tens of microseconds at a time; the threads that move the bulk run for
 * milliseconds, and without this a fault would wait for the end of their slice.
 */
export const URGENT_SLICE_MICROS = 100;
