/** Three lines of Python that load the adapter. Pure. */

const safe = (name: string): string => name.replace(/[^\w.\-/]+/g, '-');

/** The folder the zip unpacks to. */
export const folderOf = (fileName: string): string => safe(fileName.replace(/\.zip$/i, ''));

export function pythonLines(base: { source: string; name: string }, fileName: string): string[] {
  const folder = folderOf(fileName);
  // Only a hub name can be fetched by Python; anything else is a folder on the reader's disk.
  const from = base.source === 'hub' ? base.name : base.source === 'builtin' ? './builtin/model' : `./${safe(base.name)}`;
  return [
    `base  = AutoModelForCausalLM.from_pretrained("${from}")`,
    `model = PeftModel.from_pretrained(base, "./${folder}")`,
    `tok   = AutoTokenizer.from_pretrained("${from}")`,
  ];
}
