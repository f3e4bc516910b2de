/**
 * Lets messages in between two pieces of long work. A timer of 0 ms is held back for 4 ms by browsers; a message to oneself stands in line behind
 * those that are there, and no longer.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
