/** The rail's states from the stores. */
import { useMemo } from 'react';
import { currentDataset, useData } from '../../stores/data.ts';
import { useExport } from '../../stores/exporting.ts';
import { useModel } from '../../stores/model.ts';
import { usePlan } from '../../stores/plan.ts';
import { useRecipe } from '../../stores/recipe.ts';
import { useRun } from '../../stores/run.ts';
import { useSession, type Step } from '../../stores/session.ts';
import { useTuned } from '../../stores/tuned.ts';
import { modelTitle } from '../names.ts';
import { stepStates, type StepState } from './stepStates.ts';

export function useStepStates(): Record<Step, StepState> {
  const place = useSession((s) => s.place);
  const visited = useSession((s) => s.recipeSeen);
  const model = useModel();
  const dataset = useData(currentDataset);
  const importing = useData((s) => s.importing !== null);
  const report = usePlan((s) => s.report.value);
  const { recipe, touched, invalid } = useRecipe();
  const status = useRun((s) => s.status);
  const totalSteps = useRun((s) => s.totalSteps);
  const step = useRun((s) => s.readouts.step);
  const left = useRun((s) => s.readouts.left);
  const tuned = useTuned((s) => s.tuned);
  const result = useExport((s) => s.result);
  const exporting = useExport((s) => s.status === 'building');
  return useMemo(() => stepStates({
    place,
    model: {
      status: model.status, name: model.summary && modelTitle(model.summary),
      share: model.progress?.total ? model.progress.done / model.progress.total : null,
    },
    data: { rows: dataset?.rows ?? null, importing, findings: report?.findings.length ?? null },
    recipe: { touched, visited: visited || status !== 'idle', rank: recipe.lora.r, epochs: recipe.training.numTrainEpochs, invalid: Object.keys(invalid).length },
    run: { status, step, totalSteps, left },
    tuned,
    exported: result && { files: result.checks.length, ok: result.ok },
    exporting,
  }), [place, visited, model, dataset, importing, report, recipe, touched, invalid, status, step, totalSteps, left, tuned, result, exporting]);
}
