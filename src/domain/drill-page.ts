/** A drill's report as one page that needs nothing else: for people, and for the archive. */
import type { DrillCheck, DrillReport, SignedDrill, Verdict } from './drill.ts';

const said: { readonly [V in Verdict]: string } = {
  passed: 'passed',
  failed: 'FAILED',
  not_possible: 'not possible',
};

const headline: { readonly [V in Verdict]: string } = {
  passed: 'What could be checked passed',
  failed: 'Something failed',
  not_possible: 'Nothing could be checked',
};

/** The page, with the signed report in it: `baton drill verify` reads it from there. */
export function drillPage(drill: SignedDrill): string {
  const { report, hash } = drill;
  const { group, site, holder, point, verdict, previous } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Drill of ${text(group.name)}, ${text(day(report.startedAt))}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Drill of group ${text(group.name)}</h1>
<p class="verdict ${verdict}">${headline[verdict]}</p>
${facts([
  ['Tested at', `${site.name}, as if ${holder.name} were lost`],
  ['Point', `${point.sequence}, sealed ${instant(point.sealedAt)} (${point.id})`],
  ['Age of the point', `${point.ageSeconds} s: what a failover would have lost`],
  ['Run', `${instant(report.startedAt)} to ${instant(report.endedAt)}`],
  ['Asked for by', report.operator],
  ['Test ended', report.ended ? 'yes, its scratch data is gone' : 'NO'],
  ['Made by', report.software],
])}
<h2>Checks of the whole group</h2>
${checks([report.hashes, report.command])}
${report.volumes.map(volumePart).join('\n')}
<h2>How long it took</h2>
${facts(report.timings.map(({ step, durationMs }) => [step, `${(durationMs / 1000).toFixed(1)} s`]))}
<h2>Evidence</h2>
<p>The report is signed by site ${text(site.name)} and names the one before it, so that none can be
changed or left out unseen. Check it, offline: <code>baton drill verify FILE</code></p>
${facts([
  ['Drill', report.drillId],
  ['SHA-256', hash],
  [
    'The report before',
    previous ? `${previous.drillId}, SHA-256 ${previous.hash}` : 'none, this is the first',
  ],
])}
<script type="application/json" id="drill">${embedded(drill)}</script>
</body>
</html>
`;
}

/** The report that a page carries; undefined where there is none. */
export function reportInPage(page: string): string | undefined {
  return /<script type="application\/json" id="drill">(?<json>.*?)<\/script>/s.exec(page)?.groups?.[
    'json'
  ];
}

function volumePart(volume: DrillReport['volumes'][number]): string {
  const { name, volumeId, sizeBytes, hashHere, hashThere } = volume;
  return `<h2>Volume ${text(name)}</h2>
${facts([
  ['Size', `${sizeBytes} bytes`],
  ['Hash here', hashHere ?? 'not known'],
  ['Hash at the holder', hashThere ?? 'not known'],
  ['Id', volumeId],
])}
${checks(volume.checks)}`;
}

function checks(all: readonly DrillCheck[]): string {
  const rows = all.map(
    ({ what, verdict, detail }) =>
      `<tr><th scope="row">${text(what)}</th><td class="${verdict}">${said[verdict]}</td><td>${text(detail)}</td></tr>`,
  );
  return `<table class="checks">${rows.join('\n')}</table>`;
}

function facts(all: readonly (readonly [string, string])[]): string {
  const rows = all.map(
    ([name, value]) => `<tr><th scope="row">${text(name)}</th><td>${text(value)}</td></tr>`,
  );
  return `<table>${rows.join('\n')}</table>`;
}

/** Nothing of it can end the element that it is in. */
function embedded(drill: SignedDrill): string {
  return JSON.stringify(drill).replaceAll('<', '\\u003c');
}

function text(plain: string): string {
  return plain
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function instant(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

function day(iso: string): string {
  return iso.slice(0, 10);
}

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #d8dee4; overflow-wrap: anywhere; }
th { font-weight: 500; width: 15rem; color: #57606a; }
.checks td:nth-child(2) { width: 7rem; font-weight: 600; }
.verdict { font-size: 1.1rem; font-weight: 600; }
.passed { color: #116329; } .failed { color: #a40e26; } .not_possible { color: #7d4e00; }
code { font-family: ui-monospace, monospace; }
@media print { body { margin: 0; font-size: 11px; } }
`;
