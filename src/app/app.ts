import type {
  CopyId,
  DrillId,
  GroupId,
  ImportId,
  PointId,
  PolicyId,
  RuleId,
  SagaId,
  SessionId,
  SignInId,
  SiteId,
  SourceId,
  UserId,
  VolumeId,
} from '../domain/ids.ts';
import type { Store } from '../ports/store.ts';
import { abortJob } from './abort-job.ts';
import type { AppPorts } from './app-ports.ts';
import { cloneGroup, refreshClone } from './clone-group.ts';
import type { CloneGroup } from './clone-group.ts';
import { discardCopy } from './close-copy.ts';
import { listCopies, showCopy } from './copies.ts';
import { preflightFailoverTest, startFailoverTest, stopFailoverTest } from './failover-test.ts';
import type { StartFailoverTest, StopFailoverTest } from './failover-test.ts';
import { recordAudit } from './audit.ts';
import type { AuditLine } from './audit.ts';
import { assignPolicy, unassignPolicy } from './assign-policy.ts';
import type { AssignPolicy } from './assign-policy.ts';
import { changeMembers, createGroup, deleteGroup } from './change-group.ts';
import type { ChangeMembers, CreateGroup } from './change-group.ts';
import { deleteVolume, resizeVolume } from './change-volume.ts';
import { askSite } from './ask-site.ts';
import type { AskSite } from './ask-site.ts';
import { showBothSites } from './both-sites.ts';
import { createImport } from './create-import.ts';
import type { CreateImport } from './create-import.ts';
import { listAttachedHosts } from './attached-hosts.ts';
import { createVolume } from './create-volume.ts';
import type { CreateVolume } from './create-volume.ts';
import { commitFailover, preflightRollback, rollBackFailover } from './decide-failover.ts';
import type { RollBackFailover } from './decide-failover.ts';
import { acknowledgeFailover } from './acknowledge-failover.ts';
import {
  cancelImport,
  cleanUpImport,
  cutOverImport,
  deleteImport,
  finishImport,
  rollBackImport,
} from './end-import.ts';
import { failOverGroup, preflightFailover } from './fail-over-group.ts';
import type { FailOverGroup } from './fail-over-group.ts';
import { enrolHost } from './enrol-host.ts';
import { followVolumes } from './follow-volumes.ts';
import type { FollowVolumes } from './follow-volumes.ts';
import { discardFork, preflightDiscard } from './discard-fork.ts';
import type { DiscardFork } from './discard-fork.ts';
import { listForks } from './forks.ts';
import { handOverGroup, preflightHandover } from './hand-over-group.ts';
import type { HandOverGroup } from './hand-over-group.ts';
import { createHost, deleteHost, mapHost, renewHostCertificate, unmapHost } from './map-hosts.ts';
import type { Mapping } from './map-hosts.ts';
import { addSource, checkSource, listSourceVolumes, removeSource } from './import-sources.ts';
import type { AddSource } from './import-sources.ts';
import { limitLink } from './limit-link.ts';
import { groupOfLoneVolume } from './lone-volume.ts';
import type { LoneVolume } from './lone-volume.ts';
import { invitePeer, joinPeer, removePeer } from './pair-sites.ts';
import type { JoinPeer } from './pair-sites.ts';
import { releaseHosts } from './release-hosts.ts';
import type { ReleaseHosts } from './release-hosts.ts';
import { pauseSession, resumeSession } from './pause-session.ts';
import { changePolicy, createPolicy, deletePolicy } from './protection-policies.ts';
import type { ChangePolicy, CreatePolicy } from './protection-policies.ts';
import { changeSession, protectGroup, synchronizeGroup } from './protect-group.ts';
import type { ProtectGroup, SessionSettings } from './protect-group.ts';
import { hashPoint } from './receive-for-peer.ts';
import { changeRule, createRule, deleteRule } from './replication-rules.ts';
import type { ChangeRule, CreateRule } from './replication-rules.ts';
import { preflightRestore, restoreGroup } from './restore-group.ts';
import type { RestoreGroup } from './restore-group.ts';
import { preflightUnprotect, unprotectGroup } from './unprotect-group.ts';
import type { UnprotectGroup } from './unprotect-group.ts';
import { preflightReprotect, reprotectGroup } from './reprotect-group.ts';
import { listDrills, runDrill, showDrill } from './run-drill.ts';
import type { RunDrill } from './run-drill.ts';
import { remarkOn } from './remark.ts';
import type { RemarkOn } from './remark.ts';
import { showAttachment } from './show-attachment.ts';
import { switchVolume } from './switch-volume.ts';
import {
  authenticate,
  changePassword,
  createUser,
  deleteUser,
  endSignIn,
  listSignIns,
  signIn,
  signOut,
} from './sign-in.ts';
import type { Caller, SignIn } from './sign-in.ts';
import {
  enableImport,
  limitImport,
  pauseImport,
  rescheduleImport,
  resumeImport,
  startImportCopy,
} from './steer-import.ts';
import * as importViews from './import-views.ts';
import { testPeer } from './test-peer.ts';
import * as views from './views.ts';

/** Every use case, with its ports in place: what a dialect calls. Each is documented where it is. */
export type App = ReturnType<typeof createApp>;

interface ByImport {
  readonly importId: ImportId;
}

interface BySource {
  readonly sourceId: SourceId;
}

export function createApp(ports: AppPorts) {
  return {
    signIn: (r: SignIn) => signIn(ports, r),
    signOut: (token: string) => signOut(ports, token),
    authenticate: (token: string) => authenticate(ports, token),
    listSignIns: (r: { caller: Caller }) => listSignIns(ports, r),
    endSignIn: (r: { signInId: SignInId; caller: Caller }) => endSignIn(ports, r),
    createUser: (r: Parameters<typeof createUser>[1]) => createUser(ports, r),
    changePassword: (r: { userId: UserId; password: string }) => changePassword(ports, r),
    deleteUser: (r: { userId: UserId }) => deleteUser(ports, r),
    listUsers: () => ports.store.read((tx) => tx.users.all()),

    showSite: () => views.showSite(ports),
    invitePeer: () => invitePeer(ports),
    joinPeer: (r: JoinPeer) => joinPeer(ports, r),
    removePeer: (r: { peerId: SiteId }) => removePeer(ports, r),
    limitLink: (r: Parameters<typeof limitLink>[1]) => limitLink(ports, r),
    testPeer: (r: { peerId: SiteId }) => testPeer(ports, r),
    listPeers: () => views.listPeers(ports),
    showPeer: (id: SiteId) => views.showPeer(ports, id),

    createVolume: (r: CreateVolume) => createVolume(ports, r),
    resizeVolume: (r: { volumeId: VolumeId; sizeBytes: number }) => resizeVolume(ports, r),
    deleteVolume: (r: { volumeId: VolumeId }) => deleteVolume(ports, r),
    listVolumes: () => views.listVolumes(ports),
    showVolume: (id: VolumeId) => views.showVolume(ports, id),
    showAttachment: (id: VolumeId) => showAttachment(ports, id),
    switchVolume: (r: { volumeId: VolumeId; online: boolean }) => switchVolume(ports, r),
    remarkOn: (r: RemarkOn) => remarkOn(ports, r),
    /** Of those whose agents follow it, as they said last. */
    listAttachedHosts: (id: VolumeId) => listAttachedHosts(ports, id),
    groupOfLoneVolume: (r: LoneVolume) => groupOfLoneVolume(ports, r),

    createGroup: (r: CreateGroup) => createGroup(ports, r),
    deleteGroup: (r: { groupId: GroupId }) => deleteGroup(ports, r),
    addVolume: (r: { groupId: GroupId; volumeId: VolumeId }) =>
      changeMembers(ports, { groupId: r.groupId, add: [r.volumeId], remove: [] }),
    changeMembers: (r: ChangeMembers) => changeMembers(ports, r),
    removeVolume: (r: { groupId: GroupId; volumeId: VolumeId }) =>
      changeMembers(ports, { groupId: r.groupId, add: [], remove: [r.volumeId] }),
    listGroups: () => views.listGroups(ports),
    showGroup: (id: GroupId) => views.showGroup(ports, id),
    inspectGroup: (id: GroupId) => views.inspectGroup(ports, id),
    listPoints: (id: GroupId) => views.listPoints(ports, id),
    listAllPoints: () => views.listAllPoints(ports),
    hashPoint: (r: { groupId: GroupId; pointId: PointId }) => hashPoint(ports, r),

    createHost: (r: { name: string }) => createHost(ports, r),
    renewHostCertificate: (r: Pick<Mapping, 'hostId'>) => renewHostCertificate(ports, r),
    deleteHost: (r: Pick<Mapping, 'hostId'>) => deleteHost(ports, r),
    enrolHost: (r: { name: string }) => enrolHost(ports, r),
    followVolumes: (r: FollowVolumes) => followVolumes(ports, r),
    mapHost: (r: Mapping) => mapHost(ports, r),
    unmapHost: (r: Mapping) => unmapHost(ports, r),
    listHosts: () => views.listHosts(ports),

    createRule: (r: CreateRule) => createRule(ports, r),
    changeRule: (r: ChangeRule) => changeRule(ports, r),
    deleteRule: (r: { ruleId: RuleId }) => deleteRule(ports, r),
    listRules: () => ports.store.read((tx) => tx.rules.all()),
    createPolicy: (r: CreatePolicy) => createPolicy(ports, r),
    changePolicy: (r: ChangePolicy) => changePolicy(ports, r),
    deletePolicy: (r: { policyId: PolicyId }) => deletePolicy(ports, r),
    listPolicies: () => ports.store.read((tx) => tx.policies.all()),
    assignPolicy: (r: AssignPolicy) => assignPolicy(ports, r),
    unassignPolicy: (r: { groupId: GroupId; force?: boolean }) => unassignPolicy(ports, r),

    protectGroup: (r: ProtectGroup) => protectGroup(ports, r),
    unprotectGroup: (r: UnprotectGroup) => unprotectGroup(ports, r),
    preflightUnprotect: (r: UnprotectGroup) => preflightUnprotect(ports, r),
    changeSession: (r: SessionSettings & { sessionId: SessionId }) => changeSession(ports, r),
    synchronizeGroup: (r: { groupId: GroupId }) => synchronizeGroup(ports, r),
    releaseHosts: (r: ReleaseHosts) => releaseHosts(ports, r),
    pauseSession: (r: { sessionId: SessionId; by: string }) => pauseSession(ports, r),
    resumeSession: (r: { sessionId: SessionId }) => resumeSession(ports, r),
    listSessions: () => views.listSessions(ports),
    showSession: (id: SessionId) => views.showSession(ports, id),

    handOverGroup: (r: HandOverGroup) => handOverGroup(ports, r),
    preflightHandover: (r: HandOverGroup) => preflightHandover(ports, r),
    failOverGroup: (r: FailOverGroup) => failOverGroup(ports, r),
    preflightFailover: (r: FailOverGroup) => preflightFailover(ports, r),
    commitFailover: (r: { groupId: GroupId }) => commitFailover(ports, r),
    rollBackFailover: (r: RollBackFailover) => rollBackFailover(ports, r),
    preflightRollback: (r: RollBackFailover) => preflightRollback(ports, r),
    acknowledgeFailover: (r: { groupId: GroupId }) => acknowledgeFailover(ports, r),
    startFailoverTest: (r: StartFailoverTest) => startFailoverTest(ports, r),
    preflightFailoverTest: (r: StartFailoverTest) => preflightFailoverTest(ports, r),
    stopFailoverTest: (r: StopFailoverTest) => stopFailoverTest(ports, r),
    restoreGroup: (r: RestoreGroup) => restoreGroup(ports, r),
    preflightRestore: (r: RestoreGroup) => preflightRestore(ports, r),
    cloneGroup: (r: CloneGroup) => cloneGroup(ports, r),
    refreshClone: (r: Parameters<typeof refreshClone>[1]) => refreshClone(ports, r),
    discardCopy: (r: Parameters<typeof discardCopy>[1]) => discardCopy(ports, r),
    listCopies: (filter: { groupId?: GroupId | undefined }) => listCopies(ports, filter),
    showCopy: (id: CopyId) => showCopy(ports, id),
    runDrill: (r: RunDrill) => runDrill(ports, r),
    listDrills: (filter: { groupId?: GroupId | undefined }) => listDrills(ports, filter),
    showDrill: (id: DrillId) => showDrill(ports, id),
    listForks: (filter: { groupId?: GroupId | undefined }) => listForks(ports, filter),
    preflightDiscard: (r: DiscardFork) => preflightDiscard(ports, r),
    discardFork: (r: DiscardFork) => discardFork(ports, r),
    reprotectGroup: (r: { groupId: GroupId }) => reprotectGroup(ports, r),
    preflightReprotect: (r: { groupId: GroupId }) => preflightReprotect(ports, r),

    addSource: (r: AddSource) => addSource(ports, r),
    checkSource: (r: BySource) => checkSource(ports, r),
    removeSource: (r: BySource) => removeSource(ports, r),
    listSources: () => importViews.listSources(ports),
    showSource: (id: SourceId) => importViews.showSource(ports, id),
    listSourceVolumes: (r: BySource) => listSourceVolumes(ports, r),

    createImport: (r: CreateImport) => createImport(ports, r),
    listImports: () => importViews.listImports(ports),
    showImport: (id: ImportId) => importViews.showImport(ports, id),
    rescheduleImport: (r: Parameters<typeof rescheduleImport>[1]) => rescheduleImport(ports, r),
    limitImport: (r: Parameters<typeof limitImport>[1]) => limitImport(ports, r),
    enableImport: (r: ByImport) => enableImport(ports, r),
    startImportCopy: (r: ByImport) => startImportCopy(ports, r),
    pauseImport: (r: ByImport) => pauseImport(ports, r),
    resumeImport: (r: ByImport) => resumeImport(ports, r),
    cutOverImport: (r: ByImport) => cutOverImport(ports, r),
    rollBackImport: (r: ByImport) => rollBackImport(ports, r),
    finishImport: (r: ByImport) => finishImport(ports, r),
    cancelImport: (r: ByImport & { force: boolean }) => cancelImport(ports, r),
    cleanUpImport: (r: ByImport) => cleanUpImport(ports, r),
    deleteImport: (r: ByImport) => deleteImport(ports, r),

    listJobs: (filter: views.JobFilter) => views.listJobs(ports, filter),
    showJob: (id: SagaId) => views.showJob(ports, id),
    /** Resolves when the job has ended, either way. */
    endOfJob: (id: SagaId) => ports.sagas.ended(id),
    abortJob: (r: { jobId: SagaId; by: string }) => abortJob(ports, r),

    showBothSites: () => showBothSites(ports),
    askSite: (r: AskSite) => askSite(ports, r),

    recordAudit: (line: AuditLine) => recordAudit(ports, line),
    listAudit: () => ports.store.read((tx) => tx.audit.all()),
    events: eventSource(ports.store),
  };
}

function eventSource(store: Store): Pick<Store, 'eventsAfter' | 'lastEvent' | 'onCommit'> {
  return {
    eventsAfter: (sequence, limit) => store.eventsAfter(sequence, limit),
    lastEvent: () => store.lastEvent(),
    onCommit: (listener) => store.onCommit(listener),
  };
}
