/** Made-up jobs of the three service types: what a worker would do, step by step, and where it breaks. */

export type ServiceType = "comfyui" | "simulation" | "a1111";

export interface Step {
  readonly name: string;
  readonly durationMs: number;
  /** What the worker says before the step. */
  readonly line: string;
}

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly steps: readonly Step[];
  /** Breaks the step with this index; absent where the job succeeds. */
  readonly failure?: { readonly stepIndex: number; readonly type: string; readonly message: string };
}

interface Recipe {
  readonly jobType: string;
  readonly steps: readonly (readonly [name: string, durationMs: number, line: string])[];
  readonly failures: readonly (readonly [stepIndex: number, type: string, message: string])[];
}

const RECIPES: Readonly<Record<ServiceType, Recipe>> = {
  comfyui: {
    jobType: "image_generation",
    steps: [
      ["process.download_model", 40, "loading checkpoint sdxl_base_1.0.safetensors"],
      ["process.execute_comfyui", 120, "prompt queued, 23 nodes"],
      ["process.image_upload", 30, "uploading 2 images"],
    ],
    failures: [
      [1, "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0; 23.69 GiB total; 1.31 GiB free)"],
      [0, "FileNotFoundError", "model load failed: sdxl_base_1.0.safetensors not found"],
    ],
  },
  simulation: {
    jobType: "simulation",
    steps: [
      ["process.validate_input", 10, "mesh has 48210 cells"],
      ["process.execute_simulation", 90, "solver started, tolerance 1e-6"],
      ["process.validate_output", 15, "checking energy balance"],
    ],
    failures: [[1, "ConvergenceError", "solver diverged at step 412: residual 3.2e+8"]],
  },
  a1111: {
    jobType: "txt2img",
    steps: [
      ["process.http_request", 20, "POST /sdapi/v1/txt2img steps=30 cfg_scale=7"],
      ["process.poll_completion", 110, "waiting for the image"],
    ],
    failures: [[0, "ConnectionError", "Model load failed: connect ECONNREFUSED 127.0.0.1:7860"]],
  },
};

/** One job in four fails. `random` gives numbers in [0, 1), so that a seeded one repeats a run. */
export function makeJob(serviceType: ServiceType, random: () => number): Job {
  const recipe = RECIPES[serviceType];
  const id = `job-${Math.floor(random() * 0xff_ff_ff)
    .toString(16)
    .padStart(6, "0")}`;
  const steps = recipe.steps.map(([name, durationMs, line]) => ({
    name,
    durationMs: Math.round(durationMs * (0.5 + random())),
    line,
  }));
  const job = { id, type: recipe.jobType, steps };
  if (random() >= 0.25) return job;
  const [stepIndex, type, message] = recipe.failures[Math.floor(random() * recipe.failures.length)]!;
  return { ...job, failure: { stepIndex, type, message } };
}

export function isServiceType(text: string | undefined): text is ServiceType {
  return text !== undefined && Object.hasOwn(RECIPES, text);
}

/** Mulberry32: small, seeded, good enough to make up jobs. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
