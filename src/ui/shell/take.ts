/** Sends what a person brought to where it belongs. */
import { importFiles } from '../../stores/data.ts';
import { importAdapter } from '../../stores/exporting.ts';
import { loadModel, setFolder } from '../../stores/model.ts';
import { runIsLive, useRun } from '../../stores/run.ts';
import { announce, goTo } from '../../stores/session.ts';
import type { Dropped } from './dropped.ts';

export async function takeDropped(dropped: Dropped): Promise<void> {
  switch (dropped.kind) {
    case 'model':
      goTo('model');
      setFolder({ name: dropped.name, files: dropped.files });
      // A model cannot be swapped under a run that trains.
      if (!runIsLive(useRun.getState())) await loadModel();
      break;
    case 'adapter':
      goTo('try');
      await importAdapter(dropped.name, dropped.files);
      break;
    case 'data':
      await takeDataFiles(dropped.files);
      break;
    case 'nothing':
      announce(dropped.reason);
  }
}

export async function takeDataFiles(files: File[]): Promise<void> {
  goTo('data');
  await importFiles(files);
}
