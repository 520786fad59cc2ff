/** Tests that take more than half a minute run by `npm run test:slow`, and in .ci/run. */
export const SLOW_TESTS: boolean = process.env["SIGNALBOX_SLOW_TESTS"] === "1";

export const SLOW_HINT = "slow: npm run test:slow runs it";
