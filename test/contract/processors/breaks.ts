import { defineProcessor } from "signalbox/sdk";

/** A user's processor with a bug that every batch of logs meets. */
export const breaks = defineProcessor({
  type: "breaks",
  logs() {
    throw new TypeError("undefined is not a function");
  },
});
