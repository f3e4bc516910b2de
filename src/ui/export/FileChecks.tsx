/** What is in the zip, a file a row, each with what its check found. */
import type { ExportCheck } from '../../stores/types.ts';
import { formatBytes } from '../format.ts';
import { IconAlertOctagon, IconCheck } from '../icons.ts';
import classes from './Export.module.css';

const ABOUT: Record<string, string> = {
  'adapter_model.safetensors': 'LoRA weights for PEFT, f32',
  'adapter_config.json': 'Rank, scale and modules',
  'recipe.json': 'Settings of the run; opens here again',
  'README.md': 'How to load it',
  'training_log.jsonl': 'Every logged step',
  'metrics.jsonl': 'Every logged step',
};

/** "Same logits as the model you tried: largest difference 0" as a claim and its figures. */
const split = (detail: string): [claim: string, figures: string] => {
  const plain = detail.replace(/\.$/, '');
  const at = plain.indexOf(': ');
  return at < 0 ? [plain, ''] : [plain.slice(0, at), plain.slice(at + 2)];
};

function Check({ check }: { check: ExportCheck }) {
  const [claim, figures] = split(check.detail);
  const base = check.file.split('/').at(-1)!;
  return (
    <tr data-file={check.file} data-ok={check.ok}>
      <td className={classes.file}><span className="mono">{check.file}</span>{ABOUT[base] && <span className="caption">{ABOUT[base]}</span>}</td>
      <td className={classes.size}>{formatBytes(check.bytes)}</td>
      <td className={classes.check} data-ok={check.ok}>
        {check.ok ? <IconCheck size={16} stroke={2} aria-label="Checked" /> : <IconAlertOctagon size={16} stroke={2} aria-label="Failed" />}
        <span>{claim}{figures && <span className="caption">{figures}</span>}</span>
      </td>
    </tr>
  );
}

export function FileChecks({ checks }: { checks: ExportCheck[] }) {
  return (
    <table className={classes.table} data-testid="export-checks">
      <thead><tr><th scope="col">File</th><th scope="col" className={classes.size}>Size</th><th scope="col">Check</th></tr></thead>
      <tbody>{checks.map((c) => <Check key={c.file} check={c} />)}</tbody>
    </table>
  );
}
