import { startThread } from './start-thread.ts';

/**
 * Runs a thread that works through its data, posts one answer and ends.
 *
 * @returns when the thread is gone, an error included: it does not look at RAM any more.
 * @throws what the thread threw.
 */
export async function runTask<Data, Answer>(
  name: 'fill' | 'verifier',
  workerData: Data,
): Promise<Answer> {
  const worker = startThread(name, workerData);
  const answers: Answer[] = [];
  const failures: unknown[] = [];
  worker.on('message', (answer: Answer) => answers.push(answer));
  worker.on('error', (failure) => failures.push(failure));
  const code = await new Promise<number>((resolve) => worker.on('exit', resolve));
  const [answer] = answers;
  if (failures.length > 0 || answer === undefined) {
    throw new Error(`the ${name} thread ended with exit code ${code}`, { cause: failures[0] });
  }
  return answer;
}
