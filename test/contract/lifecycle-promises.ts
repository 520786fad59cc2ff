import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { Activity } from "../../src/sdk/contract/activity.ts";
import { settle } from "../support/test-clock.ts";
import type { ContractPromise, Instance, Unstartable } from "./contract.ts";
import { inTime, isListening, openResources, portOf, shutDown, Stage, untilClosed } from "./stage.ts";

/** How each kind of component is brought on the stage. */
export interface Staging<C> {
  /** Makes what the component talks to, then creates the component; `name` is the one behind the slash of its id. */
  readonly open: (subject: C, stage: Stage, name?: string) => Promise<{ readonly create: () => Instance }>;
  /** Creates the component with a configuration that is not the case's own. */
  readonly createWith: (subject: C, stage: Stage, config: unknown) => Instance;
}

/** What every component keeps, whatever it is. */
export function lifecyclePromises<C extends CanFailToStart>(staging: Staging<C>): readonly ContractPromise<C>[] {
  const onStage = (holds: (stage: Stage, subject: C) => Promise<void>) => ({
    holds: async (subject: C): Promise<void> => {
      await using stage = new Stage();
      await holds(stage, subject);
      assert.deepEqual(stage.strays, [], "something was thrown that nobody could catch");
    },
  });
  const open = async (subject: C, stage: Stage, name?: string): Promise<Instance> =>
    (await staging.open(subject, stage, name)).create();

  return [
    {
      name: "is created without side effects",
      ...onStage(async (stage, subject) => {
        const { create } = await staging.open(subject, stage);
        const [before, files] = [openResources(stage.folder), readdirSync(stage.folder)];
        using activity = new Activity();
        activity.run(create);
        assert.deepEqual(activity.takeBegun(), []);
        assert.deepEqual(openResources(stage.folder), before);
        assert.deepEqual(readdirSync(stage.folder), files);
        assert.equal(stage.clock.timerCount, 0, "timers set");
        assert.deepEqual([stage.listening, stage.admissions, stage.pressures], [[], [], []]);
      }),
    },
    {
      name: "is shut down without ever having been started",
      ...onStage(async (stage, subject) => {
        const { components } = await open(subject, stage);
        await inTime(shutDown(components), "shutdown");
        await inTime(shutDown(components), "a second shutdown");
        assert.equal(stage.clock.timerCount, 0, "timers left");
      }),
    },
    {
      name: "is shut down twice, at once and again",
      ...onStage(async (stage, subject) => {
        const { components, work } = await open(subject, stage);
        await stage.start(components);
        await work();
        await inTime(Promise.all([shutDown(components), shutDown(components)]), "two shutdowns");
        await inTime(shutDown(components), "a third shutdown");
      }),
    },
    {
      name: "leaves no timer, thread, file, connection or port behind when it has worked",
      ...onStage(async (stage, subject) => {
        const { create } = await staging.open(subject, stage);
        const before = openResources(stage.folder);
        using activity = new Activity();
        const { components, work } = activity.run(create);
        await activity.run(() => stage.start(components));
        await work();
        const down = activity.run(() => shutDown(components));
        await inTime(down, "shutdown");
        await assertNothingLeft(stage, before, activity);
      }),
    },
    {
      name: "ends soon where its shutdown comes without patience, and leaves nothing behind",
      ...onStage(async (stage, subject) => {
        const { create } = await staging.open(subject, stage);
        const before = openResources(stage.folder);
        using activity = new Activity();
        const { components, work } = activity.run(create);
        await activity.run(() => stage.start(components));
        await work();
        const down = activity.run(() => shutDown(components, AbortSignal.abort()));
        await inTime(down, "shutdown without patience", 2_000);
        await assertNothingLeft(stage, before, activity);
      }),
    },
    {
      name: "says how to mend it where it cannot start, and leaves nothing behind",
      sparedBy: ({ unstartable }) => (typeof unstartable === "string" ? unstartable : undefined),
      ...onStage(async (stage, subject) => {
        const { unstartable } = subject;
        assert.ok(typeof unstartable !== "string");
        for (const { config, message } of await unstartable(stage)) {
          const { components } = staging.createWith(subject, stage, config);
          const before = openResources(stage.folder);
          using activity = new Activity();
          const starting = activity.run(() => startAll(components, stage));
          await assert.rejects(inTime(starting, "start"), (error) => {
            assert.ok(error instanceof Error && error.constructor === Error, "an Error for people");
            assert.match(error.message, message);
            return true;
          });
          await assertNothingLeft(stage, before, activity);
          await inTime(shutDown(components), "shutdown after a start that failed");
        }
      }),
    },
    {
      name: "stands beside a second one of its type, and does not miss it",
      ...onStage(async (stage, subject) => {
        const [first, second] = [await open(subject, stage), await open(subject, stage, "second")];
        await stage.start(first.components);
        await stage.start(second.components);
        await Promise.all([first.work(), second.work()]);
        await inTime(shutDown(first.components), "shutdown of the first");
        await second.work();
        await inTime(shutDown(second.components), "shutdown of the second");
        assert.equal(stage.clock.timerCount, 0, "timers left");
      }),
    },
  ];
}

interface CanFailToStart {
  readonly unstartable: string | ((stage: Stage) => Promise<readonly Unstartable[]>);
}

/** Not through the stage, which would shut them down at its end: a start that fails cleans up by itself. */
async function startAll(components: Instance["components"], stage: Stage): Promise<void> {
  for (const component of components) await component.start(stage);
}

async function assertNothingLeft(stage: Stage, before: ReadonlyMap<string, number>, activity: Activity): Promise<void> {
  assert.equal(stage.clock.timerCount, 0, "timers left");
  // Node tells of timers that were cleared a turn or two later.
  for (let left = 3; left > 0; left -= 1) await settle();
  assert.deepEqual(activity.timers(), [], "timers left beside the clock's");
  await untilClosed(before, stage.folder);
  for (const listening of stage.listening) {
    assert.equal(await isListening(portOf(listening)), false, `${listening.what} still listens`);
  }
}
