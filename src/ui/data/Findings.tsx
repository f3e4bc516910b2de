/** What was found in the data, each with its count, cause and rows. */
import { Button } from '@mantine/core';
import { useRef, useState } from 'react';
import { inspectRow } from '../../stores/data.ts';
import { applyFix, useFixes } from '../../stores/dataFixes.ts';
import { useModel } from '../../stores/model.ts';
import { cancelReport, requestPlan, usePlan } from '../../stores/plan.ts';
import { openFinding, tableOf } from '../../stores/rowPlace.ts';
import type { DatasetSummary, Finding } from '../../stores/types.ts';
import { ErrorPanel } from '../components/ErrorPanel.tsx';
import { ProgressRow } from '../components/ProgressRow.tsx';
import { IconAlertOctagon, IconAlertTriangle } from '../icons.ts';
import { formatCount, formatWhole, plural } from '../format.ts';
import classes from './Data.module.css';
import { showView } from './showView.ts';

function Skipped({ dataset }: { dataset: DatasetSummary }) {
  const [open, setOpen] = useState(false);
  const more = dataset.skipped - dataset.skippedLines.length;
  return (
    <>
      <button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? 'Hide lines' : 'Show lines'}</button>
      {open && (
        // A list that scrolls must take the keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className={classes.skipped} tabIndex={0} role="region" aria-label="Lines that could not be read">
          <ul>{dataset.skippedLines.map((l) => <li key={l.line}>Line {formatWhole(l.line)}: {l.reason}</li>)}</ul>
          {more > 0 && <p>and {formatCount(more)} more</p>}
        </div>
      )}
    </>
  );
}

/** What the button will do, in words beside it. */
function Fix({ finding, fix, dataset, onFixed }: { finding: Finding; fix: NonNullable<Finding['fix']>; dataset: DatasetSummary; onFixed: () => void }) {
  const busy = useFixes((s) => s.busy !== null);
  const old = usePlan((s) => s.report.stale || s.report.busy);
  const rows = plural(finding.count, 'row');
  return (
    <div className={classes.fix}>
      <Button
        size="xs" disabled={busy || old} aria-label={`${fix.action === 'drop' ? `Leave out ${rows}` : `Trim ${rows}`}: ${finding.title}`}
        onClick={() => void applyFix(dataset.id, finding.kind).then((done) => { if (done) onFixed(); })}
      >
        {fix.action === 'drop' ? `Leave out ${rows}` : `Trim ${rows}`}
      </Button>
      <p>{fix.title}. Your file stays as it is, and you can undo this.</p>
    </div>
  );
}

function FindingItem({ finding, dataset, onFixed }: { finding: Finding; dataset: DatasetSummary; onFixed: () => void }) {
  const Icon = finding.severity === 'error' ? IconAlertOctagon : IconAlertTriangle;
  const show = () => {
    if (finding.count > 1) return tableOf({ finding: finding.kind });
    void openFinding(finding);
    inspectRow(finding.rows[0]!);
    showView();
  };
  return (
    <li className={classes.finding} data-severity={finding.severity} data-kind={finding.kind}>
      <Icon size={16} stroke={2.1} aria-label={finding.severity === 'error' ? 'Error' : 'Warning'} />
      <h3>{finding.title}</h3>
      {/* A title that begins with the number has said it. */}
      {/^\d/.test(finding.title) ? <span /> : <span>{formatCount(finding.count)}</span>}
      <p>
        {finding.detail}{' '}
        {finding.kind === 'skipped-line' && dataset.skippedLines.length > 0 ? <Skipped dataset={dataset} />
          : finding.rows.length > 0 && <button type="button" className="link" onClick={show} aria-label={`Show rows: ${finding.title}`}>Show rows</button>}
      </p>
      {finding.fix && <Fix finding={finding} fix={finding.fix} dataset={dataset} onFixed={onFixed} />}
    </li>
  );
}

/** Lines that were skipped are known before any model is loaded. */
const skippedFinding = (dataset: DatasetSummary): Finding => ({
  kind: 'skipped-line', severity: 'warning', title: 'Could not be read', count: dataset.skipped, rows: [],
  detail: `${plural(dataset.skipped, 'line')} of the file ${dataset.skipped === 1 ? 'is' : 'are'} not a row and left out.`,
});

export function Findings({ dataset }: { dataset: DatasetSummary }) {
  const { value: report, busy, progress, error } = usePlan((s) => s.report);
  const ready = useModel((s) => s.status === 'ready');
  const [startedAt] = useState(() => Date.now());
  const heading = useRef<HTMLHeadingElement>(null);
  // The finding leaves the list with its fix, and the focus would be lost with it.
  const onFixed = () => heading.current?.focus({ preventScroll: true });
  const findings = report?.findings ?? [];
  const list = dataset.skipped > 0 && !findings.some((f) => f.kind === 'skipped-line') ? [skippedFinding(dataset), ...findings] : findings;
  return (
    <section data-testid="findings">
      <div className={classes.sectionHead}>
        <h2 ref={heading} tabIndex={-1}>{list.length ? plural(list.length, 'finding') : report ? 'No findings' : 'Findings'}</h2>
        {report && <span className="caption">{plural(report.checksPassed, 'check')} passed</span>}
      </div>
      {error && <ErrorPanel error={error} action={{ onClick: () => requestPlan('report') }} />}
      {list.length > 0 && <ul className={classes.findings}>{list.map((f) => <FindingItem key={f.kind} finding={f} dataset={dataset} onFixed={onFixed} />)}</ul>}
      {busy && !report && <div style={{ marginTop: 12 }}><ProgressRow name="Checking every row" progress={progress} startedAt={startedAt} onCancel={cancelReport} /></div>}
      {!ready && !report && <p className="caption" style={{ marginTop: 8 }}>Load a model to check every row: its tokenizer and template decide what is cut or left out.</p>}
      {report && list.length === 0 && <p className="caption" style={{ marginTop: 8 }}>Nothing stands out in {plural(report.rows, 'row')}.</p>}
    </section>
  );
}
