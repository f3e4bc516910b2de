/** What is to be known of the file as a whole: fields not read, rows changed while they were read, the files it was joined from. */
import { useState } from 'react';
import type { DatasetSummary } from '../../../stores/types.ts';
import { formatBytes, plural } from '../../format.ts';
import { IconInfoCircle } from '../../icons.ts';
import data from '../Data.module.css';
import classes from './Rows.module.css';

function Files({ files }: { files: NonNullable<DatasetSummary['files']> }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <p>
        Joined from {plural(files.length, 'file')}; line numbers begin anew in each.{' '}
        <button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? 'Hide files' : 'Show files'}</button>
      </p>
      {open && <ol className={classes.files}>{files.map((file) => <li key={file.name}>{file.name} <span className="faint">{plural(file.rows, 'row')}, {formatBytes(file.bytes)}</span></li>)}</ol>}
    </>
  );
}

export function FileNotes({ dataset }: { dataset: DatasetSummary }) {
  const { notices = [], changed = 0, files } = dataset;
  const several = files && files.length > 1 ? files : null;
  if (notices.length === 0 && changed === 0 && !several) return null;
  return (
    <section data-testid="file-notes">
      <div className={data.sectionHead}><h2>About the file</h2></div>
      <ul className={classes.notes}>
        {notices.map((notice) => <li key={notice}><IconInfoCircle size={16} aria-hidden="true" /><p>{notice}</p></li>)}
        {changed > 0 && <li><IconInfoCircle size={16} aria-hidden="true" /><p>{plural(changed, 'row')} {changed === 1 ? 'was' : 'were'} kept with a change while being read. The record of changes names {changed === 1 ? 'it' : 'each'} by its line.</p></li>}
        {several && <li><IconInfoCircle size={16} aria-hidden="true" /><div><Files files={several} /></div></li>}
      </ul>
    </section>
  );
}
