/**
 * What somebody does with the page.
 *
 * @module
 */
// deno-lint-ignore no-import-prefix
import type { Page } from "npm:playwright-core@1.65.1";
import { PATIENCE_MS } from "./chromium.ts";

/** Where the page is built. */
export const DIST = new URL("../../dist/browser/", import.meta.url);

/** Where screenshots go, if anywhere. */
const SCREENSHOTS = Deno.args[0];

/** Loads what is chosen. */
export async function load(page: Page): Promise<void> {
  await page.click("#load");
  await page.waitForSelector("#loaded", { state: "visible" });
}

/** Waits for a condition by looking: the page's security policy forbids the code that Playwright would put there. */
export async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits for a text in an element. */
export const hasText = (page: Page, id: string, wanted: RegExp): Promise<void> =>
  until(async () => wanted.test(await page.textContent(id) ?? ""), `${id} should have ${wanted}`);

/** Clicks a button that says "Stop" while it works, and waits until it is done. */
export async function finish(page: Page, id: string): Promise<void> {
  const label = await page.textContent(id);
  await page.click(id);
  await hasText(page, id, new RegExp(`^${label}$`));
}

/** Takes pictures, where a folder for them is given: on a desktop and a phone, in light and dark. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  for (const colorScheme of ["light", "dark"] as const) {
    for (const [device, width, height] of [["desktop", 1100, 900], ["phone", 390, 844]] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: `${SCREENSHOTS}/${name}_${device}_${colorScheme}.png`, fullPage: true });
    }
  }
}

/** Writes briefly, and always the same. */
export async function beGreedy(page: Page, maxTokens: number): Promise<void> {
  await page.click("#sampling summary");
  await page.fill("#temperature", "0");
  await page.fill("#top-p", "1");
  await page.fill("#max-tokens", String(maxTokens));
  await page.click("#sampling summary");
}
