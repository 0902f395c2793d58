import { refuse } from './refusal.ts';

export const MAX_NAME_LENGTH = 64;

const name = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Whether it may be a name; see `checkName`. */
export function isName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && name.test(text);
}

/**
 * Names go into export names, certificate subjects and file names, so one narrow alphabet serves all.
 *
 * @throws Refusal `invalid`
 */
export function checkName(text: string, field = 'name'): string {
  if (isName(text)) return text;
  return refuse({
    code: 'invalid',
    field,
    wanted: `1 to ${MAX_NAME_LENGTH} of A-Z a-z 0-9 . _ -, beginning with a letter or digit`,
    seen: JSON.stringify(
      text.length > MAX_NAME_LENGTH ? `${text.slice(0, MAX_NAME_LENGTH)}…` : text,
    ),
  });
}
