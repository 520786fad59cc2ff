import { describe, expect, it } from "vitest";
import { Audit } from "../../bench/audit.ts";
import {
  encodeRequest,
  numberRecords,
  workerOfRecord,
  workerOfRequest,
  WORKERS,
  type LoadShape,
  type Signal,
  type Worker,
} from "../../bench/load.ts";
import { typeOf } from "../wire/otlp/json-reference.ts";

const RECORDS = 8;
const MESSAGES = {
  logs: "ExportLogsServiceRequest",
  traces: "ExportTraceServiceRequest",
  metrics: "ExportMetricsServiceRequest",
} as const;
const SHAPE: LoadShape = { signal: "logs", recordsPerRequest: RECORDS, identity: "resource" };

interface Group {
  readonly resource: { readonly attributes: unknown[] };
  readonly scopeLogs: [{ logRecords: { attributes: { key: string }[] }[] }];
}

interface Request {
  resourceLogs: Group[];
  resourceSpans: Group[];
  resourceMetrics: Group[];
}

const GROUPS = { logs: "resourceLogs", traces: "resourceSpans", metrics: "resourceMetrics" } as const;

function sent(shape: LoadShape, requestNumber: number): Request {
  const template = encodeRequest(shape, requestNumber % WORKERS.length);
  numberRecords(template.message, template, requestNumber * shape.recordsPerRequest);
  return typeOf(MESSAGES[shape.signal]).decode(template.message) as object as Request;
}

function identify(group: Group, worker: Partial<Worker>): void {
  const identity = { "machine.id": worker.machineId, "worker.id": worker.workerId, "service.type": worker.serviceType };
  for (const [key, value] of Object.entries(identity)) {
    if (value !== undefined) group.resource.attributes.push({ key, value: { stringValue: value } });
  }
}

/** One request of the load as it leaves a server that writes this worker on its resource. */
function outgoing(requestNumber: number, worker?: Partial<Worker>, signal: Signal = "logs"): Request {
  const request = sent({ ...SHAPE, signal }, requestNumber);
  identify(request[GROUPS[signal]][0]!, worker ?? workerOfRequest(requestNumber));
  return request;
}

/** Records that name their workers, under the resources of these. */
function moved(shape: LoadShape): Request {
  const request = sent(shape, 0);
  const [group] = request.resourceLogs;
  const records = group!.scopeLogs[0].logRecords;
  const named = new Set(["machine_id", "worker_id", "service_type"]);
  for (const record of records) record.attributes = record.attributes.filter(({ key }) => !named.has(key));
  request.resourceLogs = records.map((record, index) => {
    const own: Group = { resource: { attributes: [] }, scopeLogs: [{ logRecords: [record] }] };
    identify(own, workerOfRecord(shape, index));
    return own;
  });
  return request;
}

const NOTHING = { received: 0, duplicated: 0, unedited: 0, altered: 0, unknown: 0 };

function encode(request: Request, signal: Signal = "logs"): Buffer {
  return Buffer.from(typeOf(MESSAGES[signal]).encode(request).finish());
}

/** What an audit that expects requests 0 and 1 finds. */
function tallyOf(...requests: readonly Request[]): unknown {
  const audit = new Audit({ shape: SHAPE, recordsMax: 2 * RECORDS, isIdentified: true });
  for (const request of requests) audit.take(encode(request));
  return audit.tally();
}

describe("the audit of the benchmark", () => {
  it("finds nothing wrong with records that came once under the right resource", () => {
    expect(tallyOf(outgoing(1), outgoing(0))).toEqual({ ...NOTHING, received: 16 });
  });

  it.each(["traces", "metrics"] as const)("reads %s", (signal) => {
    const audit = new Audit({ shape: { ...SHAPE, signal }, recordsMax: 2 * RECORDS, isIdentified: true });
    audit.take(encode(outgoing(0, undefined, signal), signal));
    expect(audit.tally()).toEqual({ ...NOTHING, received: 8 });
    audit.take(encode(outgoing(1, {}, signal), signal));
    expect(audit.tally()).toEqual({ ...NOTHING, received: 16, unedited: 8 });
  });

  it("reads batches of several requests", () => {
    const audit = new Audit({ shape: SHAPE, recordsMax: 2 * RECORDS, isIdentified: true });
    audit.take(Buffer.concat([outgoing(0), outgoing(1)].map((request) => encode(request))));
    expect(audit.tally()).toEqual({ ...NOTHING, received: 16 });
  });

  it("sees records that are lost, come twice, or were never sent", () => {
    expect(tallyOf(outgoing(0))).toEqual({ ...NOTHING, received: 8 });
    expect(tallyOf(outgoing(0), outgoing(0))).toEqual({ ...NOTHING, received: 8, duplicated: 8 });
    expect(tallyOf(outgoing(2))).toEqual({ ...NOTHING, unknown: 8 });
  });

  it("sees records whose resource was not edited, only in part, or says another worker", () => {
    const unedited = { ...NOTHING, received: 8, unedited: 8 };
    expect(tallyOf(outgoing(0, {}))).toEqual(unedited);
    expect(tallyOf(outgoing(0, { machineId: WORKERS[0]!.machineId }))).toEqual(unedited);
    expect(tallyOf(outgoing(0, WORKERS[1]))).toEqual(unedited);
  });

  it("asks for no identity where nothing is edited", () => {
    const audit = new Audit({ shape: SHAPE, recordsMax: 2 * RECORDS, isIdentified: false });
    audit.take(encode(sent(SHAPE, 0)));
    expect(audit.tally()).toEqual({ ...NOTHING, received: 8 });
  });

  it("wants records that name their workers each under its own, and without the names", () => {
    const shape: LoadShape = { ...SHAPE, identity: "records" };
    const take = (request: Request): unknown => {
      const audit = new Audit({ shape, recordsMax: RECORDS, isIdentified: true });
      audit.take(encode(request));
      return audit.tally();
    };
    expect(take(moved(shape))).toEqual({ ...NOTHING, received: 8 });
    expect(take(sent(shape, 0))).toEqual({ ...NOTHING, received: 8, unedited: 8, altered: 8 });
  });

  it("sees records that lost some of their bytes", () => {
    const request = outgoing(0);
    request.resourceLogs[0]!.scopeLogs[0].logRecords[7]!.attributes.pop();
    expect(tallyOf(request)).toEqual({ ...NOTHING, received: 8, altered: 1 });
  });
});
