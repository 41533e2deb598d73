/**
 * Runs tests that were written for Deno in a browser: what `Deno.test` is given is kept here, to be run by the page.
 *
 * @module
 */

/** How a test went. */
export interface Outcome {
  /** The test's name; a step's after its test's. */
  readonly name: string;
  /** What went wrong; undefined if nothing did. */
  readonly error: string | undefined;
}

/** What a test is given. */
interface Context {
  step(name: string, run: () => void | Promise<void>): Promise<boolean>;
}

type Body = (context: Context) => void | Promise<void>;

const tests: { readonly name: string; readonly body: Body }[] = [];

// deno-lint-ignore no-explicit-any
(globalThis as any).Deno = { test: (name: string, body: Body) => void tests.push({ name, body }) };

/**
 * Runs tests, one after the other. Steps that fail do not fail their test a second time.
 *
 * @param kept Whether a test of this name is to be run.
 */
export async function runTests(kept: (name: string) => boolean): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const run = async (name: string, body: Body, context: Context) => {
    try {
      await body(context);
      outcomes.push({ name, error: undefined });
      return true;
    } catch (error) {
      outcomes.push({ name, error: (error as Error).message });
      return false;
    }
  };
  for (const { name, body } of tests.splice(0)) {
    if (!kept(name)) continue;
    const context: Context = { step: (step, inner) => run(`${name} ... ${step}`, inner, context) };
    await run(name, body, context);
  }
  return outcomes;
}
