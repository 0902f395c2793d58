/**
 * Loaded into every test file: ends one whose process stays after its tests, or whose test hangs
 * past its own limit, and says what kept it. Otherwise one open socket would stop the whole run.
 */
const LIMIT_MS = Number(process.env['BATON_TEST_FILE_LIMIT_MS']);

setTimeout(() => {
  const kept = process.getActiveResourcesInfo().join(', ');
  process.stderr.write(`the file did not end within ${LIMIT_MS} ms; still open: ${kept}\n`);
  process.exit(1);
}, LIMIT_MS).unref();
