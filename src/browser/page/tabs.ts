/**
 * Tabs as the ARIA practices describe them: arrow keys move, Home and End jump.
 *
 * @module
 */
import { element } from "./elements.ts";

/** Lets the tabs be used; returns a function that shows one, after hiding those that are not in `available`. */
export function setUpTabs(names: readonly string[]): (shown: string, available: readonly string[]) => void {
  const tabs = names.map((name) => element(`tab-${name}`, HTMLElement));
  const select = (name: string) => {
    for (const [i, tab] of tabs.entries()) {
      const isShown = names[i] === name;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      element(`panel-${names[i]}`, HTMLElement).hidden = !isShown;
    }
    for (const id of ["sampling", "meter"]) element(id, HTMLElement).hidden = name === "measure";
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(names[i]!));
    tab.addEventListener("keydown", ({ key }) => {
      const usable = tabs.filter(({ hidden }) => !hidden);
      const at = usable.indexOf(tab);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + usable.length, Home: 0, End: usable.length - 1 }[key];
      if (next === undefined) return;
      const target = usable[next % usable.length]!;
      target.focus();
      target.click();
    });
  }
  return (shown, available) => {
    for (const [i, tab] of tabs.entries()) tab.hidden = !available.includes(names[i]!);
    select(shown);
  };
}
