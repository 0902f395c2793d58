/** A value that a client told: what JSON has, but for null, which stands for "nothing told". */
export type RemarkValue =
  | string
  | number
  | boolean
  | readonly RemarkValue[]
  | { readonly [member: string]: RemarkValue };

/** By the name of the vendor's attribute. */
type Told = Readonly<Record<string, RemarkValue>>;

/**
 * What clients say of a thing that Baton itself has no use for, by dialect: a description, metadata
 * of the client's own. It is kept at this site and told back, and nothing depends on it.
 */
export type Remarks = Readonly<Record<string, Told>>;

/** New words replace older ones of the same name; undefined takes a word back. */
export function remark(
  remarks: Remarks | undefined,
  dialect: string,
  told: Readonly<Record<string, RemarkValue | undefined>>,
): Remarks {
  const merged = Object.entries({ ...remarks?.[dialect], ...told });
  const kept = merged.filter((word): word is [string, RemarkValue] => word[1] !== undefined);
  return { ...remarks, [dialect]: Object.fromEntries(kept) };
}
