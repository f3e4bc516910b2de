/** What is to be known of an adapter made elsewhere: that it is on the model, whether its config names another base, and what can be done with it. */
import { useExport } from '../../stores/exporting.ts';
import { useModel } from '../../stores/model.ts';
import { goTo } from '../../stores/session.ts';
import { setContinueFrom, useTuned } from '../../stores/tuned.ts';
import { Note } from '../components/Note.tsx';
import { modelTitle, modulesText } from '../names.ts';

export function Imported() {
  const imported = useExport((s) => s.imported);
  const tuned = useTuned((s) => s.tuned);
  const model = useModel((s) => s.summary);
  if (!imported || !model || tuned?.runId !== null || tuned.name !== imported.name) return null;
  const other = imported.base !== null && imported.base !== model.name;
  return (
    <Note
      kind={other ? 'warning' : 'notice'} testId="imported-adapter"
      title={`${imported.name} is on the model: rank ${imported.r}, ${modulesText(imported.targetModules)}.`}
      action={{ label: 'Continue training from it', onClick: () => { setContinueFrom(true); goTo('recipe'); } }}
    >
      {other
        ? `Its config names ${imported.base} as its base; ${modelTitle(model)} is loaded. The sizes agree, so it runs, but it answers well only on the base it was made for.`
        : 'Chat with it here, train on from it under Recipe, or write it out in PEFT’s plain form under Export.'}
    </Note>
  );
}
