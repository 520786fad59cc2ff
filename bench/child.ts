/** Calls into a helper process: one question, one answer, in order. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export class Helper<Question extends object, Answer> {
  readonly #process: ChildProcess;

  constructor(file: string) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), { serialization: "advanced" });
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error("the helper process did not start");
    return pid;
  }

  async ask(question: Question): Promise<Answer> {
    const exited = once(this.#process, "exit").then(([code]) => {
      throw new Error(`the helper process ended with code ${String(code)}`);
    });
    const answered = once(this.#process, "message").then(([answer]) => answer as Answer);
    this.#process.send(question);
    return Promise.race([answered, exited]);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.disconnect();
    await exited;
  }
}

/** In a helper: answers every question with what `answer` makes of it. The process ends when the other side lets go. */
export function answerQuestions(answer: (question: never) => Promise<object>): void {
  process.on("message", (question: unknown) => {
    // A failure ends this process, which the other side reports.
    void answer(question as never).then((result) => process.send?.(result));
  });
  process.on("disconnect", () => process.exit(0));
}
