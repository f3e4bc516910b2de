/** The shell: bar, rail, the screen of the step, dialogs, live region. */
import { lazy, Suspense, useEffect } from 'react';
import { useSession, type Place } from '../../stores/session.ts';
import { HomeScreen } from '../home/HomeScreen.tsx';
import classes from './App.module.css';
import { DropLayer } from './DropLayer.tsx';
import { Notices } from './Notices.tsx';
import { Rail } from './Rail.tsx';
import { ScreenBoundary } from './ScreenBoundary.tsx';
import { ShortcutsDialog } from './ShortcutsDialog.tsx';
import { TopBar } from './TopBar.tsx';
import { useDocumentTitle } from './useDocumentTitle.ts';
import { useGlobalShortcuts } from './useShortcuts.ts';
import { useWatched } from './useWatched.ts';

const SCREENS: Record<Place, React.ComponentType> = {
  model: HomeScreen,
  data: lazy(() => import('../data/DataScreen.tsx')),
  recipe: lazy(() => import('../recipe/RecipeScreen.tsx')),
  train: lazy(() => import('../train/TrainScreen.tsx')),
  try: lazy(() => import('../try/TryScreen.tsx')),
  export: lazy(() => import('../export/ExportScreen.tsx')),
  runs: lazy(() => import('../runs/RunsScreen.tsx')),
};

const ShareDialog = lazy(() => import('../share/ShareDialog.tsx'));
const OpenSharedDialog = lazy(() => import('../share/OpenSharedDialog.tsx'));

function LiveRegion() {
  const announcement = useSession((s) => s.announcement);
  return <p className="hidden" role="status" aria-live="polite" data-testid="live-region">{announcement}</p>;
}

function Dialogs() {
  const dialog = useSession((s) => s.dialog);
  return (
    <>
      <ShortcutsDialog />
      <Suspense fallback={null}>
        {dialog === 'share' && <ShareDialog />}
        {dialog === 'openShared' && <OpenSharedDialog />}
      </Suspense>
    </>
  );
}

export function App() {
  const place = useSession((s) => s.place);
  useGlobalShortcuts();
  useDocumentTitle();
  useWatched();
  useEffect(() => { window.scrollTo(0, 0); }, [place]);
  const Screen = SCREENS[place];
  return (
    <>
      <a className={classes.skip} href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the step</a>
      <TopBar />
      <div className={classes.body}>
        <Rail />
        <main id="main" tabIndex={-1} className={classes.main} data-place={place}>
          <div className={classes.content}>
            <DropLayer />
            <Notices />
            <ScreenBoundary key={place}><Suspense fallback={null}><Screen /></Suspense></ScreenBoundary>
          </div>
        </main>
      </div>
      <Dialogs />
      <LiveRegion />
    </>
  );
}
