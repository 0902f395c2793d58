import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';

/** Takes a message as it is, or not at all. A schema is compiled when the first message meets it. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema }) => {
  let compiled: Validator | undefined;
  return (value: unknown) => {
    compiled ??= Compile(schema) as Validator;
    if (compiled.Check(value)) return { value };
    const [first] = compiled.Errors(value);
    return { error: new Error(`${first?.instancePath ?? ''} ${first?.message ?? 'does not fit'}`) };
  };
};
