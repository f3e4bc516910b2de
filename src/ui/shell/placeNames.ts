import type { Place } from '../../stores/session.ts';

export const PLACE_NAMES: Record<Place, string> = {
  model: 'Model', data: 'Data', recipe: 'Recipe', train: 'Train', try: 'Try', export: 'Export', runs: 'Runs',
};
