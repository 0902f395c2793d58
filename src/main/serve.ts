import { once } from 'node:events';
import type { Command } from 'commander';
import type { ServeFlags } from './config.ts';

/** The first administrator's password, for who starts sites by program. */
export const FIRST_PASSWORD = 'BATON_ADMIN_PASSWORD';

export function addServe(program: Command): void {
  program
    .command('serve')
    .summary('run a site')
    .description(
      `Runs a site until it is told to stop (SIGTERM, Ctrl-C). Its hosts do not notice: volumes are
served by processes of their own, which it finds again at the next start.

The first start makes the site's certificates and an administrator, whose password it prints
once (or takes from ${FIRST_PASSWORD}). Logs go to standard error, one JSON object a line.`,
    )
    .option('--config <file>', 'read settings from a TOML file; flags override it')
    .option('--name <name>', "the site's name")
    .option('--data <directory>', 'where the site keeps everything')
    .option('--address <ip>', 'the address of all listeners (default: 127.0.0.1)')
    .option('--port <listener=number...>', 'where a listener listens, as in native=8443')
    .action((flags: ServeFlags) => serve(flags));
}

/** What runs a site is loaded here: commands that only ask one start without it. */
async function serve(flags: ServeFlags): Promise<void> {
  const [{ readConfig }, { dialectNames, dialectUrls }, { processLog }, { startSite }] =
    await Promise.all([
      import('./config.ts'),
      import('./listeners.ts'),
      import('./log.ts'),
      import('./start-site.ts'),
    ]);
  const config = readConfig(flags);
  const running = await startSite(config, processLog(config.name), process.env[FIRST_PASSWORD]);
  const urls = dialectUrls(config);
  const lines = [
    `site ${running.site.name} (${running.site.id})`,
    ...dialectNames.map((name) => `  ${name.padEnd(11)}  ${urls[name]}`),
    `  certificate  ${running.authorityFile}`,
  ];
  if (running.firstPassword !== undefined) {
    lines.push(`  administrator  admin, password ${running.firstPassword}   (shown this once)`);
  }
  process.stdout.write(`${lines.join('\n')}\n`);
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  await running.stop();
}
