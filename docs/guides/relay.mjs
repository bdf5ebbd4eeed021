/* Forwards connections from the socket LISTEN to the socket TARGET until it is killed: a link to break. */
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

const [listen = '', target = ''] = process.argv.slice(2);
const server = createServer((near) => {
  const far = connect(target);
  pipeline(near, far, near, () => undefined); // one side has left: so has the other
});
server.listen(listen, () => {
  writeFileSync('relay.pid', String(process.pid));
  console.log(`relaying, pid ${process.pid}`);
});
