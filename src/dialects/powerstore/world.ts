/** What a request looks at: each view is read once, so that an answer does not contradict itself. */
import type { App } from '../../app/app.ts';

export type World = ReturnType<typeof worldOf>;

/** @param address at which the client has reached this site */
export function worldOf(app: App, address: string) {
  return {
    address,
    site: once(() => app.showSite()),
    volumes: once(() => app.listVolumes()),
    groups: once(() => app.listGroups()),
    points: once(() => app.listAllPoints()),
    sessions: once(() => app.listSessions()),
    policies: once(() => app.listPolicies()),
    rules: once(() => app.listRules()),
    peers: once(() => app.listPeers()),
    sources: once(() => app.listSources()),
    imports: once(() => app.listImports()),
    /** At this site. */
    forks: once(async () => {
      const { id } = await app.showSite();
      return (await app.listForks({})).filter((fork) => fork.siteId === id);
    }),
    hosts: once(() => app.listHosts()),
    jobs: once(() => app.listJobs({})),
    users: once(() => app.listUsers()),
  };
}

function once<T>(look: () => Promise<T>): () => Promise<T> {
  let seen: Promise<T> | undefined;
  return () => {
    seen ??= look();
    return seen;
  };
}
