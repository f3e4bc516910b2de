/** Step 1: three clicks with what is already here, or a person's own model and data. */
import { useState } from 'react';
import { useModel } from '../../stores/model.ts';
import { currentDataset, useData } from '../../stores/data.ts';
import { useHeadingFocus } from '../components/ScreenHead.tsx';
import { ChooseData } from './ChooseData.tsx';
import { ChooseModel } from './ChooseModel.tsx';
import { DeviceFacts } from './DeviceFacts.tsx';
import classes from './Home.module.css';
import { ModelShelf } from './ModelShelf.tsx';
import { TrainColumn } from './TrainColumn.tsx';

export function HomeScreen() {
  const heading = useHeadingFocus();
  const [shelf, setShelf] = useState(false);
  const hasModel = useModel((s) => s.status === 'ready');
  const hasData = useData((s) => currentDataset(s) !== null);
  const next = !hasModel ? 1 : !hasData ? 2 : 3;
  return (
    <div className={classes.home}>
      <h1 ref={heading} tabIndex={-1}>Fine-tune a small language model in this page.</h1>
      <p className={classes.lead}>
        Three clicks with what is already here, or bring your own model and data. Training runs on your graphics card. Nothing is
        uploaded, nothing is installed.
      </p>
      <div className={classes.columns}>
        <ChooseModel next={next === 1} shelf={shelf} onShelf={() => setShelf(!shelf)} />
        <ChooseData next={next === 2} />
        <TrainColumn next={next === 3} />
      </div>
      {shelf && <ModelShelf />}
      <DeviceFacts />
    </div>
  );
}
