/**
 * Runs before the tests of `deno task test:dawn`, which then meet Dawn wherever they ask for an adapter.
 *
 * @module
 */
import { useDawn } from "../src/cli/backend.ts";

await useDawn();
