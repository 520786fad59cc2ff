import { describe, expect, it } from "vitest";
import { Audit } from "../../bench/audit.ts";
import {
  encodeRequest,
  GRPC_HEADER_SIZE,
  numberRecords,
  RECORDS_PER_REQUEST,
  workerOfRequest,
  WORKERS,
  type Worker,
} from "../../bench/load.ts";
import { typeOf } from "../wire/otlp/json-reference.ts";

const REQUEST = typeOf("ExportLogsServiceRequest");

interface Request {
  readonly resourceLogs: readonly [
    {
      readonly resource: { readonly attributes: unknown[] };
      readonly scopeLogs: readonly [{ readonly logRecords: { attributes: unknown[] }[] }];
    },
  ];
}

/** One request of the load as it leaves a server that writes this worker on its resource. */
function outgoing(requestNumber: number, worker: Partial<Worker> = workerOfRequest(requestNumber)): Request {
  const template = encodeRequest(workerOfRequest(requestNumber));
  numberRecords(template.frame, template, requestNumber * RECORDS_PER_REQUEST);
  const request = REQUEST.decode(template.frame.subarray(GRPC_HEADER_SIZE)) as object as Request;
  const identity = { "machine.id": worker.machineId, "worker.id": worker.workerId, "service.type": worker.serviceType };
  for (const [key, value] of Object.entries(identity)) {
    if (value !== undefined) request.resourceLogs[0].resource.attributes.push({ key, value: { stringValue: value } });
  }
  return request;
}

const NOTHING = { received: 0, duplicated: 0, unedited: 0, altered: 0, unknown: 0 };

/** What an audit that expects requests 0 and 1 finds. */
function tallyOf(...requests: readonly Request[]): unknown {
  const audit = new Audit(2 * RECORDS_PER_REQUEST);
  for (const request of requests) audit.take(Buffer.from(REQUEST.encode(request).finish()));
  return audit.tally();
}

describe("the audit of the benchmark", () => {
  it("finds nothing wrong with records that came once under the right resource", () => {
    expect(tallyOf(outgoing(1), outgoing(0))).toEqual({ ...NOTHING, received: 200 });
  });

  it("reads batches of several requests", () => {
    const audit = new Audit(2 * RECORDS_PER_REQUEST);
    audit.take(Buffer.concat([outgoing(0), outgoing(1)].map((request) => REQUEST.encode(request).finish())));
    expect(audit.tally()).toEqual({ ...NOTHING, received: 200 });
  });

  it("sees records that are lost, come twice, or were never sent", () => {
    expect(tallyOf(outgoing(0))).toEqual({ ...NOTHING, received: 100 });
    expect(tallyOf(outgoing(0), outgoing(0))).toEqual({ ...NOTHING, received: 100, duplicated: 100 });
    expect(tallyOf(outgoing(2))).toEqual({ ...NOTHING, unknown: 100 });
  });

  it("sees records whose resource was not edited, only in part, or says another worker", () => {
    const unedited = { ...NOTHING, received: 100, unedited: 100 };
    expect(tallyOf(outgoing(0, {}))).toEqual(unedited);
    expect(tallyOf(outgoing(0, { machineId: WORKERS[0]!.machineId }))).toEqual(unedited);
    expect(tallyOf(outgoing(0, WORKERS[1]))).toEqual(unedited);
  });

  it("sees records that lost some of their bytes", () => {
    const request = outgoing(0);
    request.resourceLogs[0].scopeLogs[0].logRecords[7]!.attributes.pop();
    expect(tallyOf(request)).toEqual({ ...NOTHING, received: 100, altered: 1 });
  });
});
