/** The clock that users' tests have, too. */
export { ManualClock as TestClock, settle } from "../../src/sdk/manual-clock.ts";
