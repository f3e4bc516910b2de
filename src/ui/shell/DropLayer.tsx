/** Takes a file or folder dropped anywhere on the page. */
import { useEffect, useState } from 'react';
import { Note } from '../components/Note.tsx';
import classes from './DropLayer.module.css';
import { readDrop } from './dropped.ts';
import { takeDropped } from './take.ts';

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

export function DropLayer() {
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);

  useEffect(() => {
    // Entering a child leaves its parent: the depth says whether the page itself was left.
    let depth = 0;
    const enter = (event: DragEvent) => { if (hasFiles(event)) { depth++; setOver(true); } };
    const leave = (event: DragEvent) => { if (hasFiles(event) && --depth <= 0) { depth = 0; setOver(false); } };
    const hover = (event: DragEvent) => { if (hasFiles(event)) event.preventDefault(); };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer || !hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      void readDrop(event.dataTransfer).then((dropped) => {
        setRefused(dropped.kind === 'nothing' ? dropped.reason : null);
        return takeDropped(dropped);
      });
    };
    const pairs = [['dragenter', enter], ['dragleave', leave], ['dragover', hover], ['drop', drop]] as const;
    for (const [type, listener] of pairs) window.addEventListener(type, listener);
    return () => { for (const [type, listener] of pairs) window.removeEventListener(type, listener); };
  }, []);

  return (
    <>
      {over && <div className={classes.layer}><p>Drop a data file, a model folder or an adapter</p></div>}
      {refused && <div className={classes.refused}><Note kind="warning" title={refused} onDismiss={() => setRefused(null)} /></div>}
    </>
  );
}
