import { attributesOf, runProcessor } from "signalbox/sdk/testing";
import { describe, expect, it } from "vitest";
import { workerIdentity } from "../../../processors/worker_identity/processor.ts";
import { SPELLINGS } from "signalbox/sdk";
import { identify, identifyOne, resource, SIGNAL_NAMES } from "./requests.ts";

const UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
const JOB_SIGNALS = ["logs", "traces"] as const;

/** What the Python SDK 1.45 sends by default, with OTEL_RESOURCE_ATTRIBUTES=machine.id=...,worker.id=...,service.type=... */
const PYTHON = {
  "telemetry.sdk.language": "python",
  "telemetry.sdk.name": "opentelemetry",
  "telemetry.sdk.version": "1.45.2",
  "service.instance.id": UUID,
  "machine.id": "railway-abc123",
  "worker.id": "worker-001",
  "service.type": "comfyui",
  "service.name": "unknown_service:python",
};

const PYTHON_IDENTIFIED = {
  ...PYTHON,
  "service.instance.id": "machine-railway-abc123.worker-001",
  "signalbox.original.service.instance.id": UUID,
};

const MIRRORED = { machine_id: "railway-abc123", worker_id: "worker-001", service_type: "comfyui" };
const WORKER = { "machine.id": "m", "worker.id": "w", "service.type": "t" };
const WORKER_MIRRORED = { ...WORKER, machine_id: "m", worker_id: "w", service_type: "t" };
const WORKER_IDENTIFIED = { ...WORKER_MIRRORED, "service.instance.id": "machine-m.w" };

describe("a Python worker that says who it is by OTEL_RESOURCE_ATTRIBUTES alone", () => {
  it("is machine-railway-abc123.worker-001 on logs", async () => {
    expect(await identifyOne("logs", PYTHON)).toEqual({ ...PYTHON_IDENTIFIED, ...MIRRORED });
  });

  it("is machine-railway-abc123.worker-001 on traces", async () => {
    expect(await identifyOne("traces", PYTHON)).toEqual({ ...PYTHON_IDENTIFIED, ...MIRRORED });
  });

  it("is machine-railway-abc123.worker-001 on metrics, without the mirrored spellings", async () => {
    expect(await identifyOne("metrics", PYTHON)).toEqual(PYTHON_IDENTIFIED);
  });
});

describe.each(SIGNAL_NAMES)("the resource of %s", (signal) => {
  const expected = signal === "metrics" ? WORKER : WORKER_MIRRORED;

  it("is left as it is where nothing is known", async () => {
    const attributes = { "service.name": "api", "host.name": "h" };
    expect(await identifyOne(signal, attributes)).toEqual(attributes);
  });

  it("keeps what a person chose", async () => {
    const chosen = { ...WORKER, "service.instance.id": "mine", "service.name": "painter" };
    const settings = {
      config: { service_name: "emp-worker", machine_id: "other" },
      client: { "x-worker-id": "other" },
    };
    expect(await identifyOne(signal, chosen, settings)).toEqual({ ...expected, ...chosen });
  });

  it("takes every spelling of machine, worker and service type, and leaves the canonical one", async () => {
    for (const index of SPELLINGS.machine.keys()) {
      const attributes = {
        [SPELLINGS.machine[index]!]: "m",
        [SPELLINGS.worker[index]!]: "w",
        [SPELLINGS.serviceType[index]!]: "t",
      };
      expect(await identifyOne(signal, attributes)).toEqual({ ...expected, "service.instance.id": "machine-m.w" });
    }
  });

  it("takes every spelling of the instance id", async () => {
    for (const spelling of SPELLINGS.instance) {
      expect(await identifyOne(signal, { ...WORKER, [spelling]: "mine" })).toEqual({
        ...expected,
        "service.instance.id": "mine",
      });
    }
  });

  it("has its ids as text in every spelling, where they came as numbers or with blanks around them", async () => {
    const identified = await identifyOne(signal, { "machine.id": 7, "worker.id": " w ", "service.type": "t" });
    const ids = { "machine.id": "7", "worker.id": "w", "service.type": "t" };
    const mirrors = { machine_id: "7", worker_id: "w", service_type: "t" };
    const all = signal === "metrics" ? ids : { ...ids, ...mirrors };
    expect(identified).toEqual({ ...all, "service.instance.id": "machine-7.w" });
    const bothNumbers = await identifyOne(signal, { "machine.id": 7, machine_id: 7 });
    expect(bothNumbers).toEqual({
      "machine.id": "7",
      ...(signal !== "metrics" && { machine_id: "7" }),
      "service.instance.id": "machine-7",
    });
  });

  it("says the same under the key people search for, and keeps aside what stood there, counted", async () => {
    const counts: string[] = [];
    const count = (event: string): void => void counts.push(event);
    const identified = await identifyOne(signal, { ...WORKER, machine_id: 9, worker_id: "v" }, { count });
    expect(identified).toEqual({
      ...expected,
      "service.instance.id": "machine-m.w",
      "signalbox.original.machine_id": 9,
      "signalbox.original.worker_id": "v",
    });
    expect(counts).toEqual(["conflicting", "conflicting"]);
    const earlier = { "machine.id": "m", machine_id: "n", "signalbox.original.machine_id": "first" };
    expect(await identifyOne(signal, earlier)).toMatchObject({ "signalbox.original.machine_id": "first" });
  });

  it("keeps any other spelling that says something else, counted", async () => {
    const counts: string[] = [];
    const count = (event: string): void => void counts.push(event);
    const identified = await identifyOne(signal, { ...WORKER, "emp.machine_id": "other" }, { count });
    expect(counts).toEqual(["conflicting"]);
    expect(identified).toMatchObject({
      "machine.id": "m",
      "emp.machine_id": "other",
      "service.instance.id": "machine-m.w",
    });
  });

  it("is named by the headers of its sender", async () => {
    const client = { "X-Machine-Id": "m", "X-Worker-Id": " w ", "X-Service-Type": "t" };
    expect(await identifyOne(signal, {}, { client })).toEqual({ ...expected, "service.instance.id": "machine-m.w" });
  });

  it("is named by the configuration where nobody says more", async () => {
    const config = { machine_id: "m", worker_id: "w", service_type: "t", service_name: "emp-worker" };
    const identified = { ...expected, "service.instance.id": "machine-m.w", "service.name": "emp-worker" };
    expect(await identifyOne(signal, {}, { config })).toEqual(identified);
    expect(await identifyOne(signal, { "service.name": "unknown_service:node" }, { config })).toEqual(identified);
    expect(
      await identifyOne(signal, {}, { config: { ...config, machine_id: "" }, client: { "x-machine-id": "m" } }),
    ).toEqual(identified);
  });

  it("keeps a UUID while machine and worker are not both known, or when told to", async () => {
    const alone = { "machine.id": "m", "service.instance.id": UUID };
    expect(await identifyOne(signal, alone)).toMatchObject(alone);
    const both = { ...WORKER, "service.instance.id": UUID };
    expect(await identifyOne(signal, both, { config: { instance_id: "insert" } })).toMatchObject(both);
  });

  it("gives up any instance id under overwrite, and keeps it aside", async () => {
    const identified = await identifyOne(
      signal,
      { ...WORKER, "service.instance.id": "mine" },
      { config: { instance_id: "overwrite" } },
    );
    expect(identified).toMatchObject({
      "service.instance.id": "machine-m.w",
      "signalbox.original.service.instance.id": "mine",
    });
  });

  it("keeps the original of an earlier hop", async () => {
    const attributes = { ...WORKER, "service.instance.id": UUID, "signalbox.original.service.instance.id": "first" };
    expect(await identifyOne(signal, attributes)).toMatchObject({ "signalbox.original.service.instance.id": "first" });
  });

  it("is never given another value where something that is no id stands", async () => {
    const attributes = { "machine.id": ["m"], "worker.id": true, "service.instance.id": "x".repeat(300) };
    const client = { "x-machine-id": "m", "x-worker-id": "w" };
    expect(await identifyOne(signal, attributes, { client })).toEqual(attributes);
  });

  it("takes a blank id as none", async () => {
    expect(
      await identifyOne(signal, { "machine.id": " ", "worker.id": null }, { client: { "x-machine-id": "m" } }),
    ).toMatchObject({ "machine.id": "m", "service.instance.id": "machine-m" });
  });

  it("takes what its scope says, and the scope no longer says it", async () => {
    const [only, ...more] = await identify(signal, [
      resource({ a: 1 }, [{}, {}], { machineId: "m", worker_id: "w", "service.type": "t", lib: "x" }),
    ]);
    expect(more).toEqual([]);
    expect(only?.attributes).toEqual({ a: 1, ...expected, "service.instance.id": "machine-m.w" });
    expect(only?.scopes.map(({ attributes }) => attributes)).toEqual([{ lib: "x" }]);
  });

  it("is not overruled by its scope", async () => {
    const scope = { "machine.id": "other", "worker.id": "v", "service.type": "u" };
    const [only, ...more] = await identify(signal, [resource(WORKER, [{}], scope)]);
    expect(more).toEqual([]);
    expect(only?.attributes).toEqual({ ...expected, "service.instance.id": "machine-m.w" });
    expect(only?.scopes[0]?.attributes).toEqual(scope);
  });
});

describe("a data point", () => {
  it("keeps its labels, whatever they are called", async () => {
    const labels = { machine_id: "m", "worker.id": "w", jobId: "j" };
    const input = [resource({ "service.name": "api" }, [labels])];
    expect(await identify("metrics", input)).toEqual(input);
  });

  it("keeps the job on its resource", async () => {
    expect(await identifyOne("metrics", { jobId: "j" })).toEqual({ jobId: "j" });
  });
});

describe.each(JOB_SIGNALS)("a record of %s", (signal) => {
  it("hands every spelling of its identity to a resource that has none", async () => {
    for (const index of SPELLINGS.machine.keys()) {
      const record = {
        [SPELLINGS.machine[index]!]: "m",
        [SPELLINGS.worker[index]!]: "w",
        [SPELLINGS.serviceType[index]!]: "t",
        other: 1,
      };
      expect(await identify(signal, [resource({ a: 1 }, [record])])).toEqual([
        resource({ a: 1, ...WORKER_IDENTIFIED }, [{ other: 1 }]),
      ]);
    }
  });

  it("hands an instance id over, before one is derived", async () => {
    const [only] = await identify(signal, [resource(WORKER, [{ "service.instance.id": "mine" }])]);
    expect(only).toEqual(resource({ ...WORKER_MIRRORED, "service.instance.id": "mine" }, [{}]));
  });

  it("gives way to an SDK's invention no more than a resource does", async () => {
    const [only] = await identify(signal, [resource({ "service.instance.id": UUID }, [WORKER])]);
    expect(only?.attributes).toEqual({ ...WORKER_IDENTIFIED, "signalbox.original.service.instance.id": UUID });
  });

  it("takes the original of an earlier hop along", async () => {
    const attributes = { "service.instance.id": UUID, "signalbox.original.service.instance.id": "first" };
    const [only] = await identify(signal, [resource(attributes, [WORKER])]);
    expect(only?.attributes).toEqual({ ...WORKER_IDENTIFIED, "signalbox.original.service.instance.id": "first" });
  });

  it("goes to the resource of its worker, in first-seen order", async () => {
    const records = [{ worker_id: "w1", n: 1 }, { n: 2 }, { worker_id: "w2", n: 3 }, { worker_id: "w1", n: 4 }];
    const groups = await identify(signal, [resource({ machine_id: "m" }, records)]);
    const machine = { "machine.id": "m", machine_id: "m" };
    expect(groups).toHaveLength(3);
    expect(groups).toEqual(
      expect.arrayContaining([
        resource({ ...machine, "worker.id": "w1", worker_id: "w1", "service.instance.id": "machine-m.w1" }, [
          { n: 1 },
          { n: 4 },
        ]),
        resource({ ...machine, "service.instance.id": "machine-m" }, [{ n: 2 }]),
        resource({ ...machine, "worker.id": "w2", worker_id: "w2", "service.instance.id": "machine-m.w2" }, [{ n: 3 }]),
      ]),
    );
  });

  it("comes before its scope, the header and the configuration", async () => {
    const settings = { client: { "x-machine-id": "header", "x-worker-id": "header" }, config: { service_type: "t" } };
    const groups = await identify(
      signal,
      [resource({}, [{ machine_id: "m", worker_id: "w" }], { "machine.id": "scope" })],
      settings,
    );
    expect(groups.map(({ attributes }) => attributes)).toEqual([WORKER_IDENTIFIED]);
  });

  it("does not take the worker of a sender whose machine it contradicts", async () => {
    const client = { "x-machine-id": "header", "x-worker-id": "header" };
    const groups = await identify(signal, [resource({}, [{ machine_id: "m" }])], { client });
    expect(groups.map(({ attributes }) => attributes)).toEqual([
      { "machine.id": "m", machine_id: "m", "service.instance.id": "machine-m" },
    ]);
  });

  it("keeps all that it says where its resource has chosen another worker, counted", async () => {
    const counts: string[] = [];
    const spoken = { machine_id: "m", worker_id: "v", service_type: "u" };
    const groups = await identify(signal, [resource(WORKER, [spoken])], { count: (event) => void counts.push(event) });
    expect(groups).toEqual([resource(WORKER_IDENTIFIED, [spoken])]);
    expect(counts).toEqual(["conflicting"]);
  });

  it("does not repeat what its resource says", async () => {
    const counts: string[] = [];
    const record = { machineId: "m", "emp.worker.id": "w", service_type: "u", x: 1 };
    const count = (event: string, times = 1): void => void counts.push(...Array.from({ length: times }, () => event));
    const groups = await identify(signal, [resource(WORKER, [record])], { count });
    expect(groups).toEqual([resource(WORKER_IDENTIFIED, [{ service_type: "u", x: 1 }])]);
    expect(counts).toEqual(["moved", "moved", "conflicting"]);
  });

  it("stays with its keys, counted, where the batch has too many resources", async () => {
    const counts = new Map<string, number>();
    const records = Array.from({ length: 1_100 }, (_, index) => ({ machine_id: "m", worker_id: `w${index}` }));
    const groups = await identify(signal, [resource({}, records)], {
      count: (event, value) => void counts.set(event, (counts.get(event) ?? 0) + value),
    });
    const left = groups
      .flatMap(({ scopes }) => scopes.flatMap((scope) => scope.records))
      .filter((record) => "worker_id" in record);
    expect(left.length).toBeGreaterThanOrEqual(100);
    expect(counts.get("regroup_bound")).toBe(left.length);
    expect(counts.get("moved")).toBe(2 * (1_100 - left.length));
  });

  it("leaves duration_ms, source and log.iostream alone", async () => {
    const record = { duration_ms: 1250, source: "stdout", "log.iostream": "stdout", connector_id: "c" };
    expect(await identify(signal, [resource({ a: 1 }, [record])])).toEqual([resource({ a: 1 }, [record])]);
  });
});

describe("the job", () => {
  it("of a log record is job_id, whatever it was called", async () => {
    for (const spelling of SPELLINGS.jobId) {
      expect(await identify("logs", [resource({}, [{ [spelling]: "j", a: 1 }])])).toEqual([
        resource({}, [{ job_id: "j", a: 1 }]),
      ]);
      expect(
        await identify("logs", [resource({}, [{ [spelling]: "j" }])], { config: { mirror_job_id: true } }),
      ).toEqual([resource({}, [{ job_id: "j", "job.id": "j" }])]);
    }
  });

  it("of a span is job.id and job.type, whatever they were called", async () => {
    for (const index of SPELLINGS.jobId.keys()) {
      const record = { [SPELLINGS.jobId[index]!]: "j", [SPELLINGS.jobType[index]!]: "image_generation" };
      expect(await identify("traces", [resource({}, [record])])).toEqual([
        resource({}, [{ "job.id": "j", "job.type": "image_generation" }]),
      ]);
    }
  });

  it("keeps its value's type", async () => {
    expect(await identify("logs", [resource({}, [{ jobId: 17 }])])).toEqual([resource({}, [{ job_id: 17 }])]);
  });

  it("in two spellings is one; two jobs stay two", async () => {
    expect(await identify("logs", [resource({}, [{ jobId: "j", "emp.job_id": "j" }])])).toEqual([
      resource({}, [{ job_id: "j" }]),
    ]);
  });

  it.each([
    ["logs", { job_id: "j", "job.id": "k" }],
    ["logs", { job_id: "j", "emp.job_id": "k" }],
    ["traces", { "job.id": "j", job_id: "k" }],
    ["traces", { "job.type": "a", jobType: "b" }],
  ] as const)("stays two on a record of %s where two spellings disagree, counted: %o", async (signal, record) => {
    const counts: string[] = [];
    const count = (event: string): void => void counts.push(event);
    const input = [resource({}, [record])];
    expect(await identify(signal, input, { count })).toEqual(input);
    expect(counts).toEqual(["conflicting"]);
  });

  it("stays where two spellings above the records disagree, counted", async () => {
    const counts: string[] = [];
    const count = (event: string): void => void counts.push(event);
    const two = { job_id: "j", "job.id": "k" };
    expect(await identify("logs", [resource(two, [{}], two)], { count })).toEqual([
      resource(two, [{ job_id: "j" }], two),
    ]);
    expect(counts).toEqual(["conflicting", "conflicting"]);
  });

  it("says the same under job.id where that is mirrored, and keeps aside what stood there, counted", async () => {
    const counts: string[] = [];
    const settings = { config: { mirror_job_id: true }, count: (event: string) => void counts.push(event) };
    expect(await identify("logs", [resource({}, [{ job_id: "j", "job.id": "k" }])], settings)).toEqual([
      resource({}, [{ job_id: "j", "job.id": "j", "signalbox.original.job.id": "k" }]),
    ]);
    expect(counts).toEqual(["conflicting"]);
  });

  it("of a log record has its type as job.type, whatever it was called and wherever it stood", async () => {
    const expected = [resource({}, [{ job_id: "j", "job.type": "t" }])];
    for (const spelling of SPELLINGS.jobType) {
      expect(await identify("logs", [resource({}, [{ "emp.job.id": "j", [spelling]: "t" }])])).toEqual(expected);
      expect(await identify("logs", [resource({ "emp.job.id": "j", [spelling]: "t" }, [{}])])).toEqual(expected);
      expect(await identify("logs", [resource({}, [{}], { jobId: "j", [spelling]: "t" })])).toEqual(expected);
    }
  });

  it.each([
    ["resource", { jobId: "j", "job.type": "a", x: 1 }, {}, { x: 1 }, {}],
    ["scope", {}, { "emp.job.id": "j", job_type: "a", x: 1 }, {}, { x: 1 }],
  ])("on the %s goes to every record that names none", async (_where, attributes, scope, left, scopeLeft) => {
    const groups = await identify("traces", [resource(attributes, [{}, { "job.id": "j" }, { "job.id": "k" }], scope)]);
    const job = { "job.id": "j", "job.type": "a" };
    expect(groups).toEqual([resource(left, [job, job, { "job.id": "k" }], scopeLeft)]);
  });

  it("stays on a resource whose records all name another", async () => {
    const input = [resource({ "job.id": "j" }, [{ job_id: "k" }])];
    expect(await identify("logs", input)).toEqual(input);
  });

  it("goes from the resource to the records before they move away", async () => {
    const groups = await identify("logs", [resource({ jobId: "j", "machine.id": "m" }, [{ "worker.id": "w" }])]);
    expect(groups).toEqual([
      resource(
        { "machine.id": "m", machine_id: "m", "worker.id": "w", worker_id: "w", "service.instance.id": "machine-m.w" },
        [{ job_id: "j" }],
      ),
    ]);
  });
});

const twice = (key: string, first: string, second: string) =>
  [first, second].map((text) => ({ key, value: { stringValue: text } }));

describe("a doubled key", () => {
  it("reads as the first, and hides no second one", async () => {
    const output = await runProcessor(workerIdentity, {
      logs: {
        resourceLogs: [
          {
            resource: { attributes: twice("machineId", "m", "n") },
            scopeLogs: [
              { logRecords: [{ attributes: [...twice("worker.id", "w", "v"), ...twice("jobId", "j", "k")] }] },
            ],
          },
        ],
      },
    });
    const [group] = output.resourceLogs ?? [];
    expect(attributesOf(group?.resource?.attributes)).toMatchObject({ "service.instance.id": "machine-m.w" });
    expect(group?.resource?.attributes).toHaveLength(5);
    expect(group?.scopeLogs?.[0]?.logRecords).toEqual([
      { attributes: [{ key: "job_id", value: { stringValue: "j" } }] },
    ]);
  });
});
