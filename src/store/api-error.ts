/** An answer that is not 200; its members are the `error` of the JSON body. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly position: number | undefined;
  readonly length: number | undefined;
  readonly fix: string | undefined;

  constructor(status: number, message: string, details: { fix?: string; position?: number; length?: number } = {}) {
    super(message);
    this.status = status;
    this.fix = details.fix;
    this.position = details.position;
    this.length = details.length;
  }
}

export interface ApiAnswer {
  readonly status: number;
  /** JSON in UTF-8. */
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();

export function jsonAnswer(status: number, value: unknown): ApiAnswer {
  return { status, body: encoder.encode(JSON.stringify(value)) };
}

export function errorAnswer(error: ApiError): ApiAnswer {
  const { message, position, length, fix } = error;
  // JSON.stringify leaves undefined members out.
  return jsonAnswer(error.status, { error: { message, position, length, fix } });
}
