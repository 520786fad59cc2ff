import { runProcessor } from "signalbox/sdk/testing";
import { expect, it } from "vitest";
import { ownerOfMachine } from "../testdata/processors/owner_of_machine.ts";

it("the README's processor with a memo writes the owner of each machine", async () => {
  const request = (machine: string) => ({
    resource: { attributes: [{ key: "machine.id", value: { stringValue: machine } }] },
    scopeLogs: [{ logRecords: [{}, {}] }],
  });
  const { resourceLogs = [] } = await runProcessor(ownerOfMachine, {
    config: { owners: { railway: "ops" } },
    logs: { resourceLogs: [request("railway-1"), request("desk-1"), request("railway-1")] },
  });
  const owners = resourceLogs.map(({ scopeLogs }) => scopeLogs?.[0]?.logRecords?.map(({ attributes }) => attributes));
  const owner = (name: string) => [{ key: "owner", value: { stringValue: name } }];
  expect(owners).toEqual(["ops", "nobody", "ops"].map((name) => [owner(name), owner(name)]));
});
