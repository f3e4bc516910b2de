/** The names that the lines of Python use. Pure. */

const safe = (name: string): string => name.replace(/[^\w.\-/]+/g, '-');

/** The folder the zip unpacks to. */
export const folderOf = (fileName: string): string => safe(fileName.replace(/\.zip$/i, ''));

/** Only a hub name can be fetched by Python; anything else is a folder on the reader's disk. */
export const baseFolder = (base: { source: string; name: string }): string =>
  (base.source === 'hub' ? base.name : base.source === 'builtin' ? './builtin/model' : `./${safe(base.name)}`);
