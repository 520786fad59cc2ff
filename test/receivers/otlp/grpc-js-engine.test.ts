import { describe } from "vitest";
import { TestGateway } from "./test-gateway.ts";

/** All that the receiver promises, once more over the other engine of its gRPC door. */
TestGateway.engine = "grpc_js";

describe("with engine: grpc_js", async () => {
  await import("./otlp-receiver.test.ts");
  await import("./bad-senders.test.ts");
  await import("./refused-unread.test.ts");
});
