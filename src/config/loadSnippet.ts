/** Owns the lines of Python that load an adapter, for the Export screen and the README in the download. */

/** A text as a Python literal: JSON's escapes are Python's. */
export const pythonString = (text: string): string => JSON.stringify(text);

/** Three lines. `base` is a hub name, at `revision`, or a folder with the base model; `adapter` the unpacked download. */
export const loadSnippet = (base: string, adapter = 'path/to/this/folder', revision: string | null = null): string => [
  'from peft import PeftModel',
  'from transformers import AutoModelForCausalLM',
  `model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${pythonString(base)}${revision === null ? '' : `, revision=${pythonString(revision)}`}), ${pythonString(adapter)})`,
].join('\n');
